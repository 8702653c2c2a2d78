package dbbench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Statistics is what a node's statistics views held at one time. A row keeps
// every column that the server's version has, under the server's own names.
type Statistics struct {
	Node       string    `json:"node"`
	CapturedAt time.Time `json:"captured_at"`
	Version    string    `json:"version"`
	Database   string    `json:"database"`
	// SystemIdentifier and StartedAt tell a server from another, and from itself
	// before a restart. A primary and its streaming replicas share the former.
	SystemIdentifier string           `json:"system_identifier"`
	ServerStartedAt  time.Time        `json:"server_started_at"`
	InRecovery       bool             `json:"in_recovery"`
	Views            map[string][]Row `json:"views"`
	// Notes say what could not be read, and how to allow it.
	Notes []string `json:"notes,omitempty"`
}

// A Row is one row of a view. Numbers are float64, as JSON has them; a whole
// number that a float64 can't hold, such as a queryid, is a string of its digits.
type Row map[string]any

// Number returns a column as a number; ok is false where it is NULL, no number,
// or lacking in this version.
func (r Row) Number(column string) (value float64, ok bool) {
	value, ok = r[column].(float64)
	return value, ok
}

// Text returns a column as text, "" where it is NULL or no text.
func (r Row) Text(column string) string {
	text, _ := r[column].(string)
	return text
}

// list returns a column that is an array of texts.
func (r Row) list(column string) []string {
	var texts []string
	entries, _ := r[column].([]any)
	for _, entry := range entries {
		text, _ := entry.(string)
		texts = append(texts, text)
	}
	return texts
}

// CaptureStatistics reads the statistics views of a node. A view that the server
// does not have, or that the role may not read, is left out with a note; it
// never resets anything.
func CaptureStatistics(ctx context.Context, node Node) (*Statistics, error) {
	conn, err := connect(ctx, node, Config{})
	if err != nil {
		return nil, err
	}
	defer closeQuietly(conn)
	return captureStatistics(ctx, conn, node)
}

func captureStatistics(ctx context.Context, conn *pgx.Conn, node Node) (*Statistics, error) {
	s := &Statistics{Node: node.Name, Views: map[string][]Row{}}
	if err := conn.QueryRow(ctx, `SELECT now(), current_setting('server_version'), current_database(), pg_postmaster_start_time(), pg_is_in_recovery(),
		(SELECT system_identifier::text FROM pg_control_system())`).Scan(&s.CapturedAt, &s.Version, &s.Database, &s.ServerStartedAt, &s.InRecovery, &s.SystemIdentifier); err != nil {
		return nil, fmt.Errorf("identifying %s: %w", node.Name, err)
	}
	rights, err := readRights(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("reading what the role may do on %s: %w", node.Name, err)
	}
	s.Notes = rights.notes()
	for _, v := range views() {
		rows, err := v.read(ctx, conn, rights)
		var fault *pgconn.PgError
		switch {
		case err == nil:
			s.Views[v.name] = rows
		case errors.Is(err, errNotThere):
		case errors.As(err, &fault):
			if note := rights.explain(v.name, fault); note != "" {
				s.Notes = append(s.Notes, note)
			}
		default:
			return nil, fmt.Errorf("reading %s of %s: %w", v.name, node.Name, err)
		}
	}
	return s, nil
}

// errNotThere says that a view is lacking, and that a note tells so already.
var errNotThere = errors.New("the view is not there")

func (v view) read(ctx context.Context, conn *pgx.Conn, rights *rights) ([]Row, error) {
	query := v.query
	if query == "" {
		query = "SELECT * FROM " + v.name
	}
	if v.extension != "" {
		if rights.extensionSchema == "" {
			return nil, errNotThere
		}
		query = fmt.Sprintf(query, rights.extensionSchema)
	}
	rows, err := conn.Query(ctx, "SELECT to_jsonb(v) FROM ("+query+") v")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Row, error) {
		var text []byte
		if err := row.Scan(&text); err != nil {
			return nil, err
		}
		return decodeRow(text)
	})
}

func decodeRow(text []byte) (Row, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var row Row
	if err := decoder.Decode(&row); err != nil {
		return nil, err
	}
	for column, value := range row {
		switch v := value.(type) {
		case json.Number:
			number, err := v.Float64()
			if err != nil {
				return nil, fmt.Errorf("the column %s: %w", column, err)
			}
			row[column] = number
			if whole, err := strconv.ParseInt(v.String(), 10, 64); err == nil && int64(number) != whole {
				row[column] = v.String()
			}
		case string:
			row[column] = withoutSecrets(v)
		}
	}
	return row, nil
}
