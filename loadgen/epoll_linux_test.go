package loadgen

import (
	"bufio"
	"fmt"
	"math"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"scaleproof/internal/unit"
)

// A frozen target that accepts nothing is no fault of the generator, which then has
// as many connections on their way as it dares to.
func TestATargetThatAcceptsNothingIsTheLimit(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 1) }); err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(1200 * time.Millisecond) // the freeze: the kernel takes two, and no more
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")(conn, bufio.NewReader(conn))
			}()
		}
	}()
	res := load(t, Config{
		Targets: []string{"http://" + listener.Addr().String() + "/"}, Rate: 1000, Duration: unit.Duration(1500 * time.Millisecond), Timeout: unit.Duration(4 * time.Second),
	}, Options{Engine: engineEpoll, Workers: 1})
	listener.Close()
	if res.Validity != TargetLimited || res.Lateness.P99 < .1 {
		t.Errorf("%s: %s; lateness %+v", res.Validity, res.ValidityReason, res.Lateness)
	}
}

// Answers larger than one turn of a loop reads come whole, whether their end is
// told by their length or by the end of the stream, and a connection serves on.
func TestBodiesLargerThanATurn(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", 1300<<10)
	for name, c := range map[string]struct {
		keep   bool
		handle func(net.Conn, *bufio.Reader)
	}{
		"kept alive": {true, answering(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))},
		"close-delimited": {false, func(conn net.Conn, r *bufio.Reader) {
			readRequest(r)
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n", body)
		}},
	} {
		for _, engine := range engines() {
			url := hostileServer(t, c.handle)
			const connections = 8
			n := int64(100)
			res := loadOf(t, n, Config{Targets: []string{url}, Rate: 1000, Connections: connections, Timeout: unit.Duration(20 * time.Second)}, Options{Engine: engine, Workers: 1})
			if res.Successes != n || res.BytesIn < n*int64(len(body)) {
				t.Errorf("%s, %s: %d of %d succeeded, errors %v", name, engine, res.Successes, n, res.Errors)
			}
			if c.keep && res.Connections > connections {
				t.Errorf("%s, %s: %d connections, where %d would do", name, engine, res.Connections, connections)
			}
		}
	}
}

// A connection that the server has closed with its answer carries no other request,
// least of all one that can't be made twice.
func TestAClosedConnectionIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	for _, engine := range engines() {
		url := hostileServer(t, func(conn net.Conn, r *bufio.Reader) {
			raw, err := conn.(*net.TCPConn).SyscallConn()
			if err != nil {
				return
			}
			// The answer leaves with the end, in one packet.
			_ = raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 1) })
			readRequest(r)
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		})
		res := loadOf(t, 50, Config{Targets: []string{"POST " + url}, Rate: 500, Connections: 1}, Options{Engine: engine})
		if res.Successes != 50 {
			t.Errorf("%s: %d of 50 succeeded, errors %v", engine, res.Successes, res.Errors)
		}
	}
}

// An answer that comes byte by byte is cut within each of its lines.
func TestAnAnswerInPiecesSucceeds(t *testing.T) {
	t.Parallel()
	for _, engine := range engines() {
		url := hostileServer(t, func(conn net.Conn, r *bufio.Reader) {
			for readRequest(r) {
				for _, b := range []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n") {
					if _, err := conn.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(time.Millisecond) // the target's slowness
				}
			}
		})
		res := loadOf(t, 4, Config{Targets: []string{url}, Rate: 20, Connections: 2, Checks: []string{"body matches ^ok$"}}, Options{Engine: engine})
		if res.Successes != 4 {
			t.Errorf("%s: %d of 4 succeeded, errors %v, checks %v", engine, res.Successes, res.Errors, res.Checks)
		}
	}
}

// An arrival that has become due since the loop looked is no reason to wait: only
// one that waits for a connection is.
func TestALoopWaitsForWhatIsNext(t *testing.T) {
	t.Parallel()
	const now, end = int64(time.Second), int64(10 * time.Second)
	for name, c := range map[string]struct{ due, waitingBy, now, want int64 }{
		"in a moment":        {now + 7, 0, now, 7},
		"due meanwhile":      {now - 1, 0, now, 0},
		"starved":            {now - 1, now - 1, now, maxWait},
		"far away":           {now + 2*maxWait, 0, now, maxWait},
		"the end is near":    {math.MaxInt64, 0, end - 3, 3},
		"ended, some flying": {end - 1, 0, end, maxWait},
	} {
		l := &loop{engine: &run{}, limit: 1, due: c.due, waitingBy: c.waitingBy, flying: newConnList()}
		l.engine.span.end.Store(end)
		if got := l.waitFor(c.now); got != c.want {
			t.Errorf("%s: waits %d ns, want %d", name, got, c.want)
		}
	}
}

// A server may take leave of an idle connection by an answer that nobody asked for.
// The request that meets it is made once, and so is the next.
func TestAnAnswerBeforeItsRequestBeginsNoneTwice(t *testing.T) {
	t.Parallel()
	url := hostileServer(t, func(conn net.Conn, r *bufio.Reader) {
		readRequest(r)
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		time.Sleep(20 * time.Millisecond) // the server's patience
		fmt.Fprint(conn, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
		_ = conn.(*net.TCPConn).SetLinger(0)
	})
	var made []int64
	cfg := Config{Targets: []string{url}, Rate: 100, Connections: 1}
	l := aloneLoop(t, cfg, Options{OnHit: func(h *Hit) { made = append(made, h.Seq) }})
	l.dispatch(0)
	for l.inFlight > 0 {
		l.turn()
	}
	time.Sleep(50 * time.Millisecond) // the loop's lateness
	l.dispatch(l.engine.clock.now())
	l.close()
	for i, seq := range made {
		if int64(i) != seq {
			t.Errorf("the requests %v were made", made)
			break
		}
	}
}

// aloneLoop is the only loop of a run that has begun.
func aloneLoop(t *testing.T, cfg Config, opts Options) *loop {
	t.Helper()
	opts.Source, opts.Workers = source(t, cfg), 1
	r, err := newRun(&cfg, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolveAll(t.Context(), r.endpoints, r.opts, &r.backends))
	r.clock = clock{time.Now()}
	r.span.end.Store(cfg.length())
	r.span.halt.Store(math.MaxInt64)
	rec := &recorder{span: &r.span, out: r.windows, free: r.free}
	rec.open(0)
	go func() { // in place of a collector: a second may well pass
		for w := range r.windows {
			w.reset()
			r.free <- w
		}
	}()
	t.Cleanup(func() { close(r.windows) })
	l, err := newLoop(r, rec, 0)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
