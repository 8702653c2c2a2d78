package fleet

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"scaleproof/loadgen"
)

func TestOnlyWhoKnowsTheSecretJoins(t *testing.T) {
	t.Parallel()
	w := newCrew(t, Options{Workers: 1})
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	waited := make(chan error, 1)
	go func() { waited <- w.c.Await(ctx) }()
	err := Work(t.Context(), WorkerOptions{Addresses: []string{w.address}, Secret: NewSecret()})
	if err == nil || !strings.Contains(err.Error(), "does not know this worker's secret") {
		t.Errorf("a worker of another fleet: %v", err)
	}
	// One that does not care who the coordinator is gets no further.
	conn := w.dialRaw(hello{Version: version, Nonce: randomBytes(32)})
	if err := expect(conn, kindChallenge, &challenge{}); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(appendFrame(nil, kindProof, randomBytes(32))); err != nil {
		t.Fatal(err)
	}
	w.expectRefusal(conn, "does not know the secret")
	giveUp()
	if err := <-waited; err == nil || !strings.Contains(err.Error(), "one was refused: the worker does not know the secret") {
		t.Errorf("waiting: %v", err)
	}
}

// dialRaw says hello as no worker would.
func (w *crew) dialRaw(h hello) *tls.Conn {
	w.t.Helper()
	conn, err := tls.Dial("tcp", w.address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	if err := writeMessage(conn, kindHello, h); err != nil {
		w.t.Fatal(err)
	}
	return conn
}

func (w *crew) expectRefusal(conn *tls.Conn, words string) {
	w.t.Helper()
	err := expect(conn, kindWelcome, nil)
	var refused *RefusedError
	if !errors.As(err, &refused) || !strings.Contains(refused.Reason, words) {
		w.t.Errorf("%v, want a refusal with %q", err, words)
	}
}

func TestOtherVersionsAndIndicesAreRefused(t *testing.T) {
	t.Parallel()
	w := newCrew(t, Options{Workers: 1})
	w.expectRefusal(w.dialRaw(hello{Version: version + 1, Build: "v9"}), "version 2 of the protocol (v9)")
	join := func(index int) error {
		return Work(t.Context(), WorkerOptions{Addresses: []string{w.address}, Secret: w.secret, Index: index})
	}
	if err := join(1); err == nil || !strings.Contains(err.Error(), "no worker 1 among 1") {
		t.Errorf("index 1 of 1: %v", err)
	}
	w.worker(0)
	w.await()
	if err := join(0); err == nil || !strings.Contains(err.Error(), "worker 0 is here already") {
		t.Errorf("the same index twice: %v", err)
	}
	if err := Work(t.Context(), WorkerOptions{Addresses: []string{"127.0.0.1:1"}, Secret: w.secret, Join: time.Millisecond}); err == nil {
		t.Error("joined nobody")
	}
}

// A pipeListener gives one end of a pipe, on which nothing is written before it is read.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.closed); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// A worker that is being welcomed when the coordinator closes does not keep it open.
func TestAWelcomeMayComeTooLate(t *testing.T) {
	t.Parallel()
	listener, secret := &pipeListener{make(chan net.Conn), make(chan struct{})}, NewSecret()
	c, err := Serve(listener, Options{Workers: 1, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	defer near.Close()
	listener.conns <- far
	conn := tls.Client(near, &tls.Config{InsecureSkipVerify: true})
	h := hello{Version: version, Nonce: randomBytes(32)}
	var asked challenge
	if err := errors.Join(writeMessage(conn, kindHello, h), expect(conn, kindChallenge, &asked)); err != nil {
		t.Fatal(err)
	}
	binding, err := bindingOf(conn)
	if err != nil {
		t.Fatal(err)
	}
	shake := handshake{secret, binding, 0, h.Nonce, asked.Nonce}
	if _, err := conn.Write(appendFrame(nil, kindProof, shake.proof(workerSide))); err != nil {
		t.Fatal(err)
	}
	seated := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.taken[0]
	}
	for !seated() {
		time.Sleep(time.Millisecond)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Close() }()
	<-listener.closed
	go func() { // the worker, which answers all that comes
		for {
			k, body, err := readFrame(conn, frameLimit)
			if err != nil {
				return
			}
			if k == kindPing {
				p, _ := parsePong(body)
				_, _ = conn.Write(appendFrame(nil, kindPong, p.append(nil)))
			}
		}
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the coordinator waits for a worker that nobody has let go")
	}
}

// tap copies what passes between a worker and its coordinator.
type tap struct {
	mu   sync.Mutex
	seen bytes.Buffer
}

func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.Write(b)
}

func TestNothingSecretCrossesTheWire(t *testing.T) {
	t.Parallel()
	w, tg := newCrew(t, Options{Workers: 1}), newTarget(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var wire tap
	coordinator := w.address
	go func() {
		down, err := listener.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", coordinator)
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(io.MultiWriter(down, &wire), up); down.Close() }()
		_, _ = io.Copy(io.MultiWriter(up, &wire), down)
		up.Close()
	}()
	w.address = listener.Addr().String()
	w.worker(0)
	w.address = coordinator
	w.await()
	cfg := tg.config(50, 200*time.Millisecond)
	cfg.Headers = []string{"Authorization: Bearer key-of-the-target"}
	if r := w.load(cfg, loadgen.Options{}); incomplete(r) {
		t.Error(r.ValidityReason)
	}
	wire.mu.Lock()
	defer wire.mu.Unlock()
	if wire.seen.Len() < 1000 || bytes.Contains(wire.seen.Bytes(), w.secret) || bytes.Contains(wire.seen.Bytes(), []byte("key-of-the-target")) {
		t.Errorf("of %d bytes some tell a secret", wire.seen.Len())
	}
}

// rogue joins as worker 0 and takes a job, and then says what it should not.
func (w *crew) rogue(run func(send func(k kind, message any), conn net.Conn, j *job)) {
	go func() {
		raw, err := net.Dial("tcp", w.address)
		if err != nil {
			return
		}
		conn, err := greet(raw, hello{Build: "test"}, w.secret)
		if err != nil {
			return
		}
		defer conn.Close()
		send := func(k kind, message any) { _ = writeMessage(conn, k, message) }
		for {
			k, body, err := readFrame(conn, frameLimit)
			if err != nil {
				return
			}
			switch k {
			case kindPing:
				p, _ := parsePong(body)
				now := time.Now().UnixNano()
				_, _ = conn.Write(appendFrame(nil, kindPong, pong{p.sent, now, now}.append(nil)))
			case kindJob:
				var j job
				_ = decode(body, &j)
				send(kindReady, signal{Run: j.Run})
			case kindStart:
				run(send, conn, &job{Run: 1})
			}
		}
	}()
}

func TestWhatIsMissingOrDamagedNamesTheWorker(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		say   func(send func(k kind, message any), conn net.Conn, j *job)
		words string
	}{
		"a gap": {func(_ func(kind, any), conn net.Conn, j *job) {
			_, _ = conn.Write(appendFrame(nil, kindInterval, appendInterval(nil, j.Run, 1, nil)))
		}, "worker 0: interval 1 came where 0 was due"},
		"damage": {func(_ func(kind, any), conn net.Conn, j *job) {
			_, _ = conn.Write(appendFrame(nil, kindInterval, appendInterval(nil, j.Run, 0, []byte{0, 1, 2})))
		}, "worker 0: reading second 0: the interval is damaged"},
		"an early end": {func(send func(kind, any), _ net.Conn, j *job) {
			send(kindDone, done{Run: j.Run, Result: &loadgen.Result{}})
		}, "worker 0: its last seconds are missing"},
		"lost intervals": {func(send func(kind, any), _ net.Conn, j *job) {
			send(kindDone, done{Run: j.Run, Intervals: 3, Result: &loadgen.Result{}})
		}, "worker 0: 0 of its 3 intervals came"},
		"a late start": {func(send func(kind, any), _ net.Conn, j *job) {
			send(kindDone, done{Run: j.Run, Late: time.Minute, Result: &loadgen.Result{}})
		}, "worker 0: it began 60 s late"},
		"a failure": {func(send func(kind, any), _ net.Conn, j *job) {
			send(kindFailed, failure{j.Run, "no more memory"})
		}, "worker 0: no more memory"},
		"a frame of its own": {func(send func(kind, any), _ net.Conn, _ *job) {
			send(kindHello, hello{})
		}, "worker 0: what came is not of this protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, tg := newCrew(t, Options{Workers: 1}), newTarget(t)
			w.rogue(c.say)
			w.await()
			r := w.load(tg.config(50, 100*time.Millisecond), loadgen.Options{})
			if r.Validity != loadgen.Invalid || !strings.Contains(r.ValidityReason, c.words) {
				t.Errorf("%s: %s, want %q", r.Validity, r.ValidityReason, c.words)
			}
		})
	}
}

// Over a way with delays of a and b the offset is off by half their difference,
// which is within half the trip.
func TestAReadingBoundsItsFault(t *testing.T) {
	for _, offset := range []int64{0, 5e6, -3600e9} {
		for _, way := range [][2]int64{{1e6, 1e6}, {0, 9e6}, {7e6, 0}} {
			sent := int64(1e18)
			came := sent + way[0] + offset
			p := pong{sent, came, came + 1000}
			parsed, err := parsePong(p.append(nil))
			if err != nil || parsed != p {
				t.Fatalf("%+v became %+v, %v", p, parsed, err)
			}
			r := p.read(sent + way[0] + 1000 + way[1])
			if off := (r.offset - time.Duration(offset)).Abs(); off > r.fault() || r.trip != time.Duration(way[0]+way[1]) {
				t.Errorf("offset %v of %d, trip %v", r.offset, offset, r.trip)
			}
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, kindHello, []byte("{}")))
	f.Add(appendFrame(appendFrame(nil, kindPing, nil), kindInterval, appendInterval(nil, 7, 1, []byte("x"))))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.NewReader(data)
		var again []byte
		for {
			k, body, err := readFrame(in, 1<<16)
			if err != nil {
				break
			}
			again = appendFrame(again, k, body)
			if run, sequence, interval, err := splitInterval(body); err == nil {
				r, s, i, err := splitInterval(appendInterval(nil, run, sequence, interval))
				if err != nil || r != run || s != sequence || !bytes.Equal(i, interval) {
					t.Errorf("interval %d of run %d became %d of %d", sequence, run, s, r)
				}
			}
			_, _ = parsePong(body)
		}
		if !bytes.HasPrefix(data, again) {
			t.Error("what was read is not what was written")
		}
	})
}
