package fleet

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

// The test's program is also each of the processes that it needs.
func TestMain(m *testing.M) {
	switch os.Getenv("FLEET_ROLE") {
	case "":
		os.Exit(m.Run())
	case "worker":
		os.Exit(workerMain())
	case "coordinator":
		os.Exit(coordinatorMain())
	}
}

// input reads the secret, and leaves with the end of its parent.
func input() []byte {
	in := bufio.NewReader(os.Stdin)
	line, _ := in.ReadString('\n')
	secret, _ := hex.DecodeString(strings.TrimSpace(line))
	go func() {
		_, _ = io.Copy(io.Discard, in)
		os.Exit(9)
	}()
	return secret
}

func workerMain() int {
	secret := input()
	index, _ := strconv.Atoi(os.Getenv("FLEET_INDEX"))
	offset, _ := time.ParseDuration(os.Getenv("FLEET_OFFSET"))
	opts := WorkerOptions{
		Addresses: []string{os.Getenv("FLEET_ADDRESS")}, Secret: secret, Index: index, Build: "test", Host: "host" + os.Getenv("FLEET_INDEX"),
		Now: func() time.Time { return time.Now().Add(offset) },
	}
	if path := os.Getenv("FLEET_HITS"); path != "" {
		var mu sync.Mutex
		file, err := os.Create(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		opts.OnHit = func(h *loadgen.Hit) {
			if h.Kind == "" && !h.Warmup {
				mu.Lock()
				defer mu.Unlock()
				_ = binary.Write(file, binary.LittleEndian, int64(h.End-h.Intended))
			}
		}
	}
	if err := Work(context.Background(), opts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	return 0
}

// coordinatorMain says its address, and loads a target with two workers.
func coordinatorMain() int {
	secret := input()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	c, err := Serve(listener, Options{Workers: 2, Secret: secret, Build: "test", MaxDoubt: patient})
	if err != nil {
		return 1
	}
	fmt.Println(listener.Addr())
	if err := c.Await(context.Background()); err != nil {
		return 1
	}
	cfg := loadgen.Config{Targets: []string{"GET " + os.Getenv("FLEET_TARGET")}, Rate: 100}
	_, err = c.Run(context.Background(), cfg, loadgen.Options{})
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// patient bounds what a busy machine does to the exchange of clocks.
const patient = 20 * time.Second

// A crew is a coordinator and what it waits for.
type crew struct {
	t       *testing.T
	c       *Coordinator
	address string
	secret  []byte
}

func newCrew(t *testing.T, opts Options) *crew {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if opts.MaxDoubt == 0 {
		opts.MaxDoubt = patient
	}
	opts.Secret, opts.Build = NewSecret(), "test"
	c, err := Serve(listener, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &crew{t, c, listener.Addr().String(), opts.Secret}
}

// A process is a child; log is what it said on stderr.
type process struct {
	*exec.Cmd
	log  *strings.Builder
	out  *bufio.Reader
	wait func() error
}

func start(t *testing.T, secret []byte, env ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0]), log: &strings.Builder{}}
	p.Env = append(os.Environ(), env...)
	p.Stderr = p.log
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, hex.EncodeToString(secret))
	p.wait = sync.OnceValue(p.Cmd.Wait)
	t.Cleanup(func() {
		in.Close()
		_ = p.wait()
	})
	return p
}

func (w *crew) worker(index int, env ...string) *process {
	w.t.Helper()
	return start(w.t, w.secret, append([]string{"FLEET_ROLE=worker", "FLEET_ADDRESS=" + w.address, fmt.Sprint("FLEET_INDEX=", index)}, env...)...)
}

// await waits until all workers are there.
func (w *crew) await() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := w.c.Await(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// load runs a load that must give a result.
func (w *crew) load(cfg loadgen.Config, opts loadgen.Options) *loadgen.Result {
	w.t.Helper()
	opts.Fleet = w.c
	r, err := loadgen.Run(w.t.Context(), cfg, opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// incomplete reports whether a result is Invalid for another reason than a busy
// machine, which makes workers late.
func incomplete(r *loadgen.Result) bool {
	return r.Validity == loadgen.Invalid && !strings.Contains(r.ValidityReason, " was the limit: ")
}

// A target counts its requests.
type target struct {
	url   string
	count atomic.Int64
	first chan struct{} // closed at the first request
}

func newTarget(t *testing.T) *target {
	tg := &target{first: make(chan struct{})}
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		tg.count.Add(1)
		once.Do(func() { close(tg.first) })
	}))
	t.Cleanup(server.Close)
	tg.url = server.URL
	return tg
}

func (tg *target) config(rate float64, duration time.Duration) loadgen.Config {
	return loadgen.Config{Targets: []string{"GET " + tg.url}, Rate: unit.Rate(rate), Duration: unit.Duration(duration)}
}

// hitsOf records what workers wrote, as one process would.
func hitsOf(t *testing.T, paths []string) *stats.Histogram {
	t.Helper()
	all := stats.NewHistogram()
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for ; len(data) >= 8; data = data[8:] {
			all.RecordNanos(int64(binary.LittleEndian.Uint64(data)))
		}
	}
	return all
}

func hitFiles(t *testing.T, n int) (paths []string) {
	dir := t.TempDir()
	for i := range n {
		paths = append(paths, filepath.Join(dir, strconv.Itoa(i)))
	}
	return paths
}
