// Command benchdb compares the database load with pgbench -M prepared: the same
// server, query, clients and run. It prints, for each number of clients, the
// transactions per second of both, their ratio, and the CPU time of the client
// for each transaction.
//
// scripts/bench-db.sh runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"scaleproof/dbbench"
	"scaleproof/internal/stats"
	"scaleproof/internal/testpg"
	"scaleproof/internal/unit"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "benchdb:", err)
		os.Exit(1)
	}
}

// rows is the size of the table that both read, one row at a time.
const rows = 100_000

type settings struct {
	clients string
	seconds int
	rounds  int
	// inner makes this process one of the two clients, with the server's DSN
	// from the environment.
	inner bool
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("benchdb", flag.ContinueOnError)
	var s settings
	flags.StringVar(&s.clients, "clients", "1,8,32", "numbers of clients")
	flags.IntVar(&s.seconds, "seconds", 4, "length of each measurement")
	flags.IntVar(&s.rounds, "rounds", 6, "measurements of each, of which the median counts")
	flags.BoolVar(&s.inner, "inner", false, "be the client, and print what it did")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.inner {
		return load(s, stdout)
	}
	server, err := testpg.Start(context.Background(), testpg.Options{})
	if err != nil {
		return err
	}
	return errors.Join(compareAll(s, server, stdout), server.Stop())
}

// load is this project's client.
func load(s settings, stdout io.Writer) error {
	n, err := strconv.Atoi(s.clients)
	if err != nil {
		return err
	}
	result, err := dbbench.RunLoad(context.Background(), dbbench.Node{Name: "server", DSN: os.Getenv("BENCHDB_DSN")},
		dbbench.Config{Queries: []dbbench.Query{{
			Name: "account", SQL: "SELECT abalance FROM pgbench_accounts WHERE aid = $1", Random: []string{fmt.Sprintf("int(1, %d)", rows)},
		}}},
		dbbench.LoadConfig{Clients: n, Duration: unit.Duration(time.Duration(s.seconds) * time.Second)})
	if err != nil {
		return err
	}
	if len(result.Errors) > 0 {
		return fmt.Errorf("the load failed: %s", result.FirstError)
	}
	_, err = fmt.Fprintf(stdout, "transactions: %d\ntps = %f\n", result.Transactions, result.TPS)
	return err
}

func compareAll(s settings, server *testpg.Server, stdout io.Writer) error {
	pgbench, err := findPgbench(server)
	if err != nil {
		return err
	}
	script, err := prepare(server)
	if err != nil {
		return err
	}
	defer os.Remove(script)
	fmt.Fprintf(stdout, "one row by its key, %d CPUs, medians of %d runs of %d s each\n", runtime.NumCPU(), s.rounds, s.seconds)
	fmt.Fprintln(stdout, "clients  pgbench tps  scaleproof tps  ratio (quartiles)   pgbench CPU/tx  scaleproof CPU/tx")
	for text := range strings.SplitSeq(s.clients, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		if err := compare(s, server, n, pgbench, script, stdout); err != nil {
			return fmt.Errorf("with %d clients: %w", n, err)
		}
	}
	return nil
}

// findPgbench looks beside the server, and then in PATH.
func findPgbench(server *testpg.Server) (string, error) {
	beside := filepath.Join(server.BinDir, "pgbench")
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	path, err := exec.LookPath("pgbench")
	if err != nil {
		return "", errors.New("pgbench is not installed: it comes with PostgreSQL's package, not with npm's")
	}
	return path, nil
}

// prepare makes pgbench's table and a script with its select.
func prepare(server *testpg.Server) (script string, err error) {
	for _, sql := range []string{
		fmt.Sprintf("CREATE TABLE pgbench_accounts AS SELECT g AS aid, 1 AS bid, 0 AS abalance, repeat(' ', 84) AS filler FROM generate_series(1, %d) g", rows),
		"ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid)",
		"VACUUM ANALYZE pgbench_accounts",
	} {
		if err := server.Execute(context.Background(), "postgres", sql); err != nil {
			return "", err
		}
	}
	file, err := os.CreateTemp("", "benchdb-*.sql")
	if err != nil {
		return "", err
	}
	_, err = fmt.Fprintf(file, "\\set aid random(1, %d)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n", rows)
	return file.Name(), errors.Join(err, file.Close())
}

// A figure is what one client did in one measurement.
type figure struct {
	tps   float64
	perTx float64 // CPU seconds of the client for each transaction
}

// compare measures both clients in the order A B B A, so that a drift of the
// machine meets both alike.
func compare(s settings, server *testpg.Server, n int, pgbench, script string, w io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	clients, seconds := strconv.Itoa(n), strconv.Itoa(s.seconds)
	commands := [2][]string{
		{pgbench, "-n", "-M", "prepared", "-c", clients, "-j", strconv.Itoa(min(n, runtime.NumCPU())), "-T", seconds, "-f", script, server.DSN("postgres")},
		{self, "-inner", "-clients", clients, "-seconds", seconds},
	}
	var figures [2][]figure
	var ratios []float64
	for round := range s.rounds {
		order := []int{0, 1}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, i := range order {
			f, err := measure(commands[i], server.DSN("postgres"))
			if err != nil {
				return err
			}
			figures[i] = append(figures[i], f)
		}
		ratios = append(ratios, figures[1][round].tps/figures[0][round].tps)
	}
	median := func(i int, of func(figure) float64) float64 {
		var values []float64
		for _, f := range figures[i] {
			values = append(values, of(f))
		}
		return stats.Median(values)
	}
	tps := func(f figure) float64 { return f.tps }
	perTx := func(f figure) float64 { return f.perTx * 1e6 }
	slices.Sort(ratios)
	_, err = fmt.Fprintf(w, "%7d  %11.0f  %14.0f  %5.2f (%.2f to %.2f)  %11.1f µs  %14.1f µs\n", n, median(0, tps), median(1, tps),
		stats.Median(ratios), ratios[len(ratios)/4], ratios[len(ratios)-1-len(ratios)/4], median(0, perTx), median(1, perTx))
	return err
}

var (
	tpsLine          = regexp.MustCompile(`tps = ([0-9.]+)`)
	transactionsLine = regexp.MustCompile(`transactions(?: actually processed)?: ([0-9]+)`)
)

func measure(command []string, dsn string) (figure, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "BENCHDB_DSN="+dsn)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return figure{}, fmt.Errorf("%s: %w: %s", filepath.Base(command[0]), err, out)
	}
	tps, transactions := tpsLine.FindSubmatch(out), transactionsLine.FindSubmatch(out)
	if tps == nil || transactions == nil {
		return figure{}, fmt.Errorf("%s gave no tps: %s", filepath.Base(command[0]), out)
	}
	cpu := (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	var f figure
	if f.tps, err = strconv.ParseFloat(string(tps[1]), 64); err != nil {
		return f, err
	}
	n, err := strconv.ParseFloat(string(transactions[1]), 64)
	f.perTx = cpu / n
	return f, err
}
