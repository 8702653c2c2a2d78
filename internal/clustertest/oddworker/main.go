//go:build cluster

// Command oddworker stands in a test's image for scaleproof worker. It is that
// worker, but its clock may be wrong, and it hands in each response time by itself,
// so that a test can compare what the coordinator has merged.
//
// It reads /etc/oddworker.json.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"scaleproof/loadgen"
	"scaleproof/loadgen/fleet"
)

// Oddities are what is odd about the workers.
type oddities struct {
	// Ahead is how far the clock of each worker is, by its index.
	Ahead map[int]time.Duration `json:"ahead"`
	// Samples is the URL that takes response times, in nanoseconds, as big-endian
	// 64-bit numbers; "" where they are not wanted.
	Samples string `json:"samples"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oddworker:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || args[0] != "worker" {
		return errors.New("only a worker is here")
	}
	flags := flag.NewFlagSet("worker", flag.ContinueOnError)
	connect := flags.String("connect-file", "", "")
	secret := flags.String("secret-file", "", "")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	var odd oddities
	text, err := os.ReadFile("/etc/oddworker.json")
	if err == nil {
		err = json.Unmarshal(text, &odd)
	}
	if err != nil {
		return err
	}
	index, err := strconv.Atoi(os.Getenv("JOB_COMPLETION_INDEX"))
	if err != nil {
		return err
	}
	opts := fleet.WorkerOptions{Index: index, Build: "odd", Now: func() time.Time { return time.Now().Add(odd.Ahead[index]) }}
	opts.Host, err = os.Hostname()
	if err != nil {
		return err
	}
	addresses, err := os.ReadFile(*connect)
	if err != nil {
		return err
	}
	opts.Addresses = strings.Split(string(addresses), ",")
	digits, err := os.ReadFile(*secret)
	if err != nil {
		return err
	}
	if opts.Secret, err = hex.DecodeString(string(digits)); err != nil {
		return err
	}
	var mu sync.Mutex
	var samples bytes.Buffer
	if odd.Samples != "" {
		opts.OnHit = func(h *loadgen.Hit) {
			if h.Kind != "" || h.Warmup {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			_ = binary.Write(&samples, binary.BigEndian, int64(h.End-h.Intended)) // a buffer takes all
		}
	}
	if err := fleet.Work(context.Background(), opts); err != nil || odd.Samples == "" {
		return err
	}
	answer, err := http.Post(odd.Samples, "application/octet-stream", &samples)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}
