package sample

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// ServiceOptions bound what one replica can do.
type ServiceOptions struct {
	// Workers is how many requests are served at a time; the others wait.
	Workers int
	// Work is the time that a request holds its worker beside the database: it
	// stands for calls to other services, which take time but no CPU here. So
	// a replica has a capacity of its own, Workers/Work, and replicas add up
	// even on a small machine.
	Work time.Duration
	// Connections is the size of the pool to the database.
	Connections int
}

// A Service is one replica of the sample application.
type Service struct {
	opts     ServiceOptions
	pool     *pgxpool.Pool
	workers  chan struct{}
	duration *prometheus.HistogramVec
	mux      *http.ServeMux
}

// NewService connects to the database; Close ends the connections.
func NewService(ctx context.Context, dsn string, opts ServiceOptions) (*Service, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("reading the DSN of the service: %w", err)
	}
	config.MaxConns = int32(opts.Connections)
	config.ConnConfig.RuntimeParams["application_name"] = "brownie-metadata-app"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting the service: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connecting the service: %w", err)
	}
	s := &Service{opts: opts, pool: pool, workers: make(chan struct{}, opts.Workers)}
	s.routes()
	return s, nil
}

// Close ends the connections to the database.
func (s *Service) Close() { s.pool.Close() }

func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Service) routes() {
	registry := prometheus.NewRegistry()
	s.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_duration_seconds", Help: "Time to serve a request, waiting for a worker included.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
	}, []string{"path"})
	connections := func(state string, value func(*pgxpool.Stat) int32) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "db_connections", Help: "Connections of the pool by state.", ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 { return float64(value(s.pool.Stat())) })
	}
	registry.MustRegister(s.duration,
		connections("acquired", (*pgxpool.Stat).AcquiredConns),
		connections("idle", (*pgxpool.Stat).IdleConns),
		connections("max", (*pgxpool.Stat).MaxConns),
	)
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	s.mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	s.mux.Handle("GET /incidents", s.work("/incidents", s.incidents))
	s.mux.Handle("GET /users", s.work("/users", s.users))
}

// work serves a request once a worker is free.
func (s *Service) work(path string, answer func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		defer func() { s.duration.WithLabelValues(path).Observe(time.Since(started).Seconds()) }()
		select {
		case s.workers <- struct{}{}:
			defer func() { <-s.workers }()
		case <-r.Context().Done():
			return
		}
		value, err := answer(r)
		var fault *requestError
		switch {
		case errors.As(err, &fault):
			http.Error(w, fault.Error(), fault.status)
			return
		case err != nil:
			http.Error(w, "the database failed", http.StatusInternalServerError)
			return
		}
		wait := time.NewTimer(s.opts.Work)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-r.Context().Done():
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(value) // the client has gone: nobody is left to tell
	})
}

// A requestError is the client's fault.
type requestError struct {
	status  int
	message string
}

func (e *requestError) Error() string { return e.message }

type incident struct {
	ID        int64     `json:"id"`
	Title     string    `json:"title"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"created_at"`
}

func (s *Service) incidents(r *http.Request) (any, error) {
	id, err := strconv.ParseInt(r.URL.Query().Get("organization_id"), 10, 64)
	if err != nil {
		return nil, &requestError{http.StatusBadRequest, "organization_id must be a number"}
	}
	rows, err := s.pool.Query(r.Context(), `SELECT id, title, status, created_at FROM incidents
		WHERE organization_id = $1 ORDER BY created_at DESC LIMIT 20`, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[incident])
}

type account struct {
	ID             int64  `json:"id"`
	OrganizationID int64  `json:"organization_id"`
	Email          string `json:"email"`
}

func (s *Service) users(r *http.Request) (any, error) {
	rows, err := s.pool.Query(r.Context(), "SELECT id, organization_id, email FROM users WHERE email = $1", r.URL.Query().Get("email"))
	if err != nil {
		return nil, err
	}
	user, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[account])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, &requestError{http.StatusNotFound, "no such user"}
	}
	return user, err
}
