// Package testpg starts real PostgreSQL servers for tests and for the demo: in a
// temporary folder, on loopback and a free port, as an unprivileged user when
// started by root. A server and its folder are gone when Stop returns, and also
// when the process that started it dies without calling Stop.
package testpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/guardian"
)

// Options say how to start a server. The zero value is ready to use.
type Options struct {
	BinDir string // of initdb and postgres; empty: FindBinaries
	// TempDir is where the server's folder is made; empty: os.TempDir.
	TempDir string
	// Settings are added to postgresql.conf; they override the defaults of
	// this package, which trade durability for speed.
	Settings map[string]string
}

// A Server is a running server.
type Server struct {
	BinDir string
	// HasStatements tells whether pg_stat_statements is loaded.
	HasStatements bool

	dir      string
	port     int
	password string
	user     *user
	guardian *guardian.Guardian
	process  *exec.Cmd
	override map[string]string // the settings that it was started with
	exited   chan struct{}     // closed when process has ended
}

// superuser is the name of the bootstrap superuser.
const superuser = "scaleproof"

// Start makes a new cluster and starts it. On error nothing is left behind.
func Start(ctx context.Context, opts Options) (_ *Server, err error) {
	s := &Server{BinDir: opts.BinDir, password: rand.Text()}
	if s.BinDir == "" {
		if s.BinDir, err = FindBinaries(ctx); err != nil {
			return nil, err
		}
	} else if err := checkBinaries(s.BinDir); err != nil {
		return nil, err
	}
	if s.user, err = serverUser(); err != nil {
		return nil, err
	}
	if err := s.makeFolder(opts.TempDir); err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if err := s.makeReachable(ctx); err != nil {
		return nil, err
	}
	if err := s.initialise(ctx); err != nil {
		return nil, err
	}
	if err := s.launch(ctx, opts.Settings); err != nil {
		return nil, err
	}
	return s, s.hashOnce(ctx)
}

// makeFolder makes the server's folder and sets its guardian.
func (s *Server) makeFolder(parent string) error {
	dir, err := os.MkdirTemp(parent, "scaleproof-postgres-")
	if err != nil {
		return err
	}
	s.dir = dir
	if s.guardian, err = guardian.Watch(dir, "data/postmaster.pid"); err == nil {
		err = s.user.own(dir)
	}
	if err != nil {
		return errors.Join(err, s.Stop())
	}
	return nil
}

func (s *Server) dataDir() string { return filepath.Join(s.dir, "data") }
func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

func (s *Server) initialise(ctx context.Context) error {
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(s.password), 0o600); err != nil {
		return fmt.Errorf("initialising PostgreSQL: %w", err)
	}
	defer os.Remove(secret)
	if err := s.user.own(secret); err != nil {
		return fmt.Errorf("initialising PostgreSQL: %w", err)
	}
	return s.run(ctx, "initdb", "--pgdata="+s.dataDir(), "--username="+superuser, "--pwfile="+secret,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
}

// run runs one of the server's programs to its end.
func (s *Server) run(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.BinDir, program), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PGPASSWORD="+s.password)
	cmd.SysProcAttr = s.user.attributes()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// launch starts the server on a free port. Another process can take the port
// between its choice and its use, so that a few are tried.
func (s *Server) launch(ctx context.Context, settings map[string]string) error {
	s.HasStatements, s.override = true, settings
	for attempt := 1; ; attempt++ {
		err := s.launchOnce(ctx, settings)
		if err == nil {
			return nil
		}
		log := s.log()
		switch {
		case strings.Contains(log, `could not access file "pg_stat_statements"`) && s.HasStatements:
			s.HasStatements = false
		case strings.Contains(log, "could not bind") && attempt < 5:
		default:
			return fmt.Errorf("%w; its log ends: %s", err, lastLines(log, 5))
		}
	}
}

func (s *Server) launchOnce(ctx context.Context, settings map[string]string) (err error) {
	if s.port, err = freePort(); err != nil {
		return err
	}
	args := []string{"-D", s.dataDir()}
	for name, value := range s.settings(settings) {
		args = append(args, "-c", name+"="+value)
	}
	log, err := os.Create(s.logFile())
	if err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(s.BinDir, "postgres"), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = s.user.attributes()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	s.process, s.exited = cmd, make(chan struct{})
	go func(exited chan struct{}) {
		_ = cmd.Wait() // its log says more than its exit code
		close(exited)
	}(s.exited)
	return s.awaitReady(ctx)
}

func (s *Server) settings(override map[string]string) map[string]string {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    fmt.Sprint(s.port),
		"unix_socket_directories": "",
		"max_connections":         "200",
		"shared_buffers":          "256MB",
		"fsync":                   "off",
		"synchronous_commit":      "off",
		"full_page_writes":        "off",
		"max_wal_size":            "4GB",
		"track_io_timing":         "on",
	}
	if s.HasStatements {
		settings["shared_preload_libraries"] = "pg_stat_statements"
	}
	for name, value := range override {
		settings[name] = value
	}
	return settings
}

// awaitReady returns once the server takes connections, or has ended.
func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	retry := time.NewTicker(25 * time.Millisecond)
	defer retry.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.exited:
			return errors.New("starting PostgreSQL: the server ended at once")
		case <-ctx.Done():
			return fmt.Errorf("starting PostgreSQL: waiting until it takes connections: %w", context.Cause(ctx))
		case <-retry.C:
		}
	}
}

// DSN returns the connection string of a database for the superuser. It holds
// the password.
func (s *Server) DSN(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, s.password),
		Host: net.JoinHostPort("127.0.0.1", fmt.Sprint(s.port)), Path: database,
	}
	return u.String()
}

// Execute runs a statement without a result as the superuser.
func (s *Server) Execute(ctx context.Context, database, sql string) error {
	return execute(ctx, s.DSN(database), sql)
}

func execute(ctx context.Context, dsn, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("running %s: %w", sql, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("running %s: %w", sql, err)
	}
	return nil
}

// Pid returns the process id of the server.
func (s *Server) Pid() int { return s.process.Process.Pid }

// Stop ends the server at once and removes its folder. It may be called more
// than once.
func (s *Server) Stop() error {
	s.end(syscall.SIGQUIT)
	var err error
	if s.dir != "" {
		if err = os.RemoveAll(s.dir); err != nil {
			err = fmt.Errorf("removing the folder of PostgreSQL: %w", err)
		}
	}
	if s.guardian != nil {
		s.guardian.Dismiss()
		s.guardian = nil
	}
	return err
}

// Restart ends the server in good order, keeps its data and starts it again.
func (s *Server) Restart(ctx context.Context, settings map[string]string) error {
	s.end(syscall.SIGINT)
	return s.launch(ctx, settings)
}

// end ends the server by a signal, and by force where that takes too long.
func (s *Server) end(signal syscall.Signal) {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Signal(signal) // fails only where it has ended
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		_ = s.process.Process.Kill()
		<-s.exited
	}
}

func (s *Server) log() string {
	data, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
