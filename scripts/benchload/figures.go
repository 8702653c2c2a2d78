package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"text/tabwriter"
	"time"

	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

// The loads of the figures.
const (
	latenessRate      = 20_000 // per second
	memoryConnections = 10_000
	capSlots          = 50
	capWork           = 20 * time.Millisecond
)

// figures prints how late requests are sent, what memory a load takes, and how
// close the capacity search comes to a known cap.
func figures(s settings, stdout io.Writer) error {
	if err := printLateness(s, stdout); err != nil {
		return err
	}
	if err := printMemory(s, stdout); err != nil {
		return err
	}
	return printCapacity(stdout)
}

// inner runs one of the Go clients on the first CPU. The server has the last.
func inner(s settings, client string, connections int) ([]byte, int64, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	cmd := exec.Command("taskset", "-c", "0", self, "-inner", client, "-url", s.url, "-connections", strconv.Itoa(connections), "-seconds", strconv.Itoa(s.seconds))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", client, err)
	}
	return out, maxRSS(cmd.ProcessState), nil
}

func printLateness(s settings, stdout io.Writer) error {
	fmt.Fprintf(stdout, "\nlateness at %d requests a second, constant arrivals\n", latenessRate)
	for range s.rounds {
		out, _, err := inner(s, "lateness", 64)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "  %s", out)
	}
	return nil
}

// runLateness is the client whose lateness is told.
func runLateness(s settings, connections int, stdout io.Writer) error {
	res, err := loadgen.Run(context.Background(), loadgen.Config{
		Targets: []string{"GET " + s.url}, Rate: latenessRate, Connections: connections,
		Warmup: unit.Duration(time.Second), Duration: unit.Duration(time.Duration(s.seconds) * time.Second),
	}, loadgen.Options{})
	if err != nil {
		return err
	}
	l := res.Lateness
	_, err = fmt.Fprintf(stdout, "p50 %s  p99 %s  p99.9 %s  max %s; %d unsent; %s\n", seconds(l.P50), seconds(l.P99), seconds(l.P999), seconds(l.Max), res.Unsent, res.Validity)
	return err
}

func seconds(v float64) string { return unit.Format(v, unit.Seconds) }

func printMemory(s settings, stdout io.Writer) error {
	fmt.Fprintln(stdout, "\nlargest memory of the epoll engine")
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "connections\tseconds\trequests\tMB\t")
	for _, load := range []struct{ connections, seconds int }{{64, s.seconds}, {64, s.long}, {memoryConnections, s.seconds}, {memoryConnections, 5 * s.seconds}} {
		longer := s
		longer.seconds = load.seconds
		out, rss, err := inner(longer, "epoll", load.connections)
		if err != nil {
			return err
		}
		requests, err := find(`(\d+)`)(out)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%d\t%d\t%.0f\t%.1f\t\n", load.connections, longer.seconds, requests, float64(rss)/1e6)
	}
	return w.Flush()
}

// printCapacity searches the capacity of a server that serves so many requests
// at a time, each for so long. What it does flat out is the truth: its sleeps
// take a little longer than they should.
func printCapacity(stdout io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	slots := make(chan struct{}, capSlots)
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		slots <- struct{}{}
		time.Sleep(capWork) // the work of the service
		<-slots
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fault := searchCap("http://"+listener.Addr().String()+"/", stdout)
	closed := server.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return errors.Join(fault, closed)
}

func searchCap(url string, stdout io.Writer) error {
	flatOut, err := loadgen.Run(context.Background(), loadgen.Config{
		Targets: []string{url}, Connections: 4 * capSlots, Warmup: unit.Duration(time.Second), Duration: unit.Duration(5 * time.Second),
	}, loadgen.Options{})
	if err != nil {
		return err
	}
	res, err := loadgen.Run(context.Background(), loadgen.Config{
		Targets: []string{url}, FindCapacity: true, SLO: loadgen.SLO{P99: unit.Duration(100 * time.Millisecond), Errors: .001},
		Duration: unit.Duration(4 * time.Second), Warmup: unit.Duration(500 * time.Millisecond),
	}, loadgen.Options{})
	if err != nil {
		return err
	}
	c := res.Capacity
	_, err = fmt.Fprintf(stdout, "\ncapacity of a server capped at %.0f/s, which does %.0f/s flat out\n  %.0f/s (%.0f to %.0f), %+.1f %% off, after %d probes; the limit was the %s\n",
		capSlots/capWork.Seconds(), flatOut.Throughput, c.Rate, c.Low, c.High, 100*(c.Rate/flatOut.Throughput-1), len(c.Curve), c.Limit)
	return err
}
