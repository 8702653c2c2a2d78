// Command benchload compares the load engines with wrk, ab and vegeta on one
// target. It prints, for each number of connections, the requests per second
// and per CPU-second of the client, and the ratios between them; with -figures
// the lateness of the open model, the memory, and how close the capacity search
// comes.
//
// scripts/bench-load.sh starts the target and runs it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "benchload:", err)
		os.Exit(1)
	}
}

type settings struct {
	url     string
	seconds int
	long    int
	rounds  int
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("benchload", flag.ContinueOnError)
	var s settings
	flags.StringVar(&s.url, "url", "", "the target")
	flags.IntVar(&s.seconds, "seconds", 5, "length of each measurement")
	flags.IntVar(&s.long, "long", 90, "length of the long run of the memory's figures: with a CPU to itself, ten million requests and more; 900 are a hundred million")
	flags.IntVar(&s.rounds, "rounds", 3, "measurements of each client, of which the median counts")
	connections := flags.String("connections", "64,512,5000", "numbers of connections")
	clients := flags.String("clients", "epoll,goroutines,wrk,ab,vegeta", "what is compared")
	others := flags.Bool("figures", false, "print lateness, memory and the error of the capacity search in place of the comparison")
	inner := flags.String("inner", "", "run one of the Go clients, and print its count")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *inner != "" {
		n, err := strconv.Atoi(*connections)
		if err != nil {
			return err
		}
		return runInner(*inner, s, n, stdout)
	}
	if err := awaitTarget(s.url); err != nil {
		return err
	}
	if *others {
		return figures(s, stdout)
	}
	for text := range strings.SplitSeq(*connections, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		if err := compare(s, n, strings.Split(*clients, ","), stdout); err != nil {
			return err
		}
	}
	return nil
}

func awaitTarget(url string) (err error) {
	for range 100 {
		var response *http.Response
		if response, err = http.Get(url); err == nil {
			return response.Body.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// A figure is what one client did in one measurement.
type figure struct {
	requests float64
	seconds  float64
	cpu      float64 // seconds
	maxRSS   int64   // bytes
	perCPU   float64 // requests per CPU-second
}

// compare measures all clients in turn, round by round, so that a slow spell
// of the machine meets them all.
func compare(s settings, connections int, clients []string, stdout io.Writer) error {
	figures := map[string][]figure{}
	for range s.rounds {
		for _, client := range clients {
			f, err := measure(s, client, connections)
			if err != nil {
				return fmt.Errorf("%s at %d connections: %w", client, connections, err)
			}
			if f != nil {
				figures[client] = append(figures[client], *f)
			}
		}
	}
	medians := map[string]figure{}
	for client, list := range figures {
		slices.SortFunc(list, func(a, b figure) int { return int(a.perCPU - b.perCPU) })
		medians[client] = list[len(list)/2]
	}
	fmt.Fprintf(stdout, "\n%d connections, median of %d\n", connections, s.rounds)
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "client\treq/s\treq/CPU-s\tof wrk\tof vegeta\tMB\t")
	for _, client := range clients {
		f, ok := medians[client]
		if !ok {
			fmt.Fprintf(w, "%s\tnot installed\t\t\t\t\t\n", client)
			continue
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%s\t%s\t%.0f\t\n", client, f.requests/f.seconds, f.perCPU,
			ratio(f, medians, "wrk"), ratio(f, medians, "vegeta"), float64(f.maxRSS)/1e6)
	}
	return w.Flush()
}

func ratio(f figure, medians map[string]figure, to string) string {
	other, ok := medians[to]
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%.2f", f.perCPU/other.perCPU)
}

// measure runs one client on the first CPU; nil where it is not installed.
func measure(s settings, client string, connections int) (*figure, error) {
	args, count := s.command(client, connections)
	if _, err := exec.LookPath(args[0]); err != nil {
		return nil, nil
	}
	cmd := exec.Command("taskset", append([]string{"-c", "0"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	started := time.Now()
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.String())
	}
	requests, err := count(out)
	if err != nil {
		return nil, err
	}
	state := cmd.ProcessState
	f := &figure{requests: requests, seconds: min(time.Since(started).Seconds(), float64(s.seconds)), cpu: (state.UserTime() + state.SystemTime()).Seconds(), maxRSS: maxRSS(state)}
	f.perCPU = f.requests / f.cpu
	return f, nil
}

// command returns how a client is called, and how its output tells the number
// of requests.
func (s settings) command(client string, connections int) (args []string, count func([]byte) (float64, error)) {
	n, seconds := strconv.Itoa(connections), strconv.Itoa(s.seconds)
	switch client {
	case "wrk":
		return []string{"wrk", "-t1", "-c" + n, "-d" + seconds + "s", "--latency", s.url}, find(`(\d+) requests in`)
	case "ab":
		return []string{"ab", "-k", "-q", "-c", n, "-t", seconds, "-n", "100000000", s.url}, find(`Complete requests:\s+(\d+)`)
	}
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return []string{self, "-inner", client, "-url", s.url, "-connections", n, "-seconds", seconds}, find(`(\d+)`)
}

func find(pattern string) func([]byte) (float64, error) {
	re := regexp.MustCompile(pattern)
	return func(out []byte) (float64, error) {
		m := re.FindSubmatch(out)
		if m == nil {
			return 0, fmt.Errorf("no count of requests in %q", out)
		}
		return strconv.ParseFloat(string(m[1]), 64)
	}
}

// runInner is one of the Go clients.
func runInner(client string, s settings, connections int, stdout io.Writer) error {
	switch client {
	case "vegeta":
		return runVegeta(s, connections, stdout)
	case "lateness":
		return runLateness(s, connections, stdout)
	}
	res, err := loadgen.Run(context.Background(), loadgen.Config{
		Targets: []string{"GET " + s.url}, Connections: connections,
		Duration: unit.Duration(time.Duration(s.seconds) * time.Second),
	}, loadgen.Options{Engine: client})
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, res.Successes)
	return json.NewEncoder(stdout).Encode(struct {
		Errors     map[string]int64
		Validity   loadgen.Validity
		P50, P99   float64
		Connection int64
	}{res.Errors, res.Validity, res.ResponseTime.P50, res.ResponseTime.P99, res.Connections})
}

// runVegeta runs vegeta as fast as it goes.
func runVegeta(s settings, connections int, stdout io.Writer) error {
	attacker := vegeta.NewAttacker(vegeta.Workers(uint64(connections)), vegeta.MaxWorkers(uint64(connections)), vegeta.Connections(connections))
	targeter := vegeta.NewStaticTargeter(vegeta.Target{Method: "GET", URL: s.url})
	var metrics vegeta.Metrics
	for result := range attacker.Attack(targeter, vegeta.Rate{}, time.Duration(s.seconds)*time.Second, "bench") {
		metrics.Add(result)
	}
	metrics.Close()
	_, err := fmt.Fprintln(stdout, metrics.Requests)
	return err
}
