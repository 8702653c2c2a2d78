package testpg

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// serverVariable holds the superuser's DSN of the server that the tests of one
// binary share. A variable of the environment rather than of the program, so
// that child processes of a test find the server too, and that it can be set by
// hand to test against another one.
const serverVariable = "SCALEPROOF_TEST_POSTGRES"

// binariesVariable names the server's binaries, to test on another version.
const binariesVariable = "SCALEPROOF_POSTGRES_BIN"

// StartForTest starts a server for one test alone, of the version that Main starts.
// The test stops it.
func StartForTest(t TB) (*Server, error) {
	return Start(t.Context(), Options{BinDir: os.Getenv(binariesVariable)})
}

// TB is the part of testing.TB that this package needs.
type TB interface {
	Helper()
	Name() string
	Fatalf(format string, args ...any)
	Cleanup(func())
	Context() context.Context
}

// Main starts one server for all tests of a binary, runs them, stops it and
// exits. It is what TestMain calls.
func Main(m interface{ Run() int }) {
	os.Exit(run(m))
}

func run(m interface{ Run() int }) int {
	if os.Getenv(serverVariable) != "" {
		return m.Run()
	}
	server, err := Start(context.Background(), Options{BinDir: os.Getenv(binariesVariable)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	if err := os.Setenv(serverVariable, server.DSN("postgres")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// A Shared is the server that the tests of a binary share.
type Shared struct {
	admin string
}

// ForTest returns the server that Main has started.
func ForTest(t TB) *Shared {
	t.Helper()
	admin := os.Getenv(serverVariable)
	if admin == "" {
		t.Fatalf("no server: TestMain of this package must call testpg.Main")
	}
	return &Shared{admin}
}

// AdminDSN returns the superuser's connection string of the maintenance
// database.
func (s *Shared) AdminDSN() string { return s.admin }

// NewDatabase makes a database with pg_stat_statements (where the server has it)
// for one test, and drops it when the test ends.
func (s *Shared) NewDatabase(t TB) (dsn string) {
	t.Helper()
	return s.NewDatabaseNamed(t, "")
}

// NewDatabaseNamed makes a further database for the same test, told from its
// others by a word.
func (s *Shared) NewDatabaseNamed(t TB, word string) (dsn string) {
	t.Helper()
	name := databaseName(word + t.Name())
	s.exec(t, t.Context(), s.admin, "CREATE DATABASE "+name)
	t.Cleanup(func() {
		s.exec(t, context.Background(), s.admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	})
	u, err := url.Parse(s.admin)
	if err != nil {
		t.Fatalf("reading the DSN of the test server: %v", err)
	}
	u.Path = "/" + name
	s.exec(t, t.Context(), u.String(), `DO $$ BEGIN
		IF current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%' THEN
			CREATE EXTENSION pg_stat_statements;
		END IF;
	END $$`)
	return u.String()
}

func (s *Shared) exec(t TB, ctx context.Context, dsn, sql string) {
	t.Helper()
	if err := execute(ctx, dsn, sql); err != nil {
		t.Fatalf("%v", err)
	}
}

// databaseName makes a name from a test's, unique in this process and within
// the server's limit of 63 bytes.
func databaseName(test string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(test))
	return "t" + strconv.Itoa(os.Getpid()) + "_" + name[:min(len(name), 40)]
}
