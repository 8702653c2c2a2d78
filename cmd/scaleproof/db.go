package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"scaleproof/dbbench"
	"scaleproof/internal/redact"
	"scaleproof/internal/validation"
	"scaleproof/reports"
)

func (a *app) dbCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "db",
		Short: "Benchmark a Postgres database ad hoc, and read plans",
		Long: `db measures the database of DATABASE_URL: connection strings are taken from the
environment only.`,
	}
	cmd.AddCommand(a.dbBenchCommand(), a.dbStatsCommand(), a.dbDiffCommand(), a.dbAdviseCommand(), a.dbPlanCommand())
	return cmd
}

// dsnFlag names the environment variable of a connection string.
func dsnFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("dsn-from", "DATABASE_URL", "environment variable that holds the connection string")
}

// node returns the server that an environment variable names.
func (a *app) node(variable string) (dbbench.Node, error) {
	dsn, _ := a.lookup(variable)
	if dsn == "" {
		return dbbench.Node{}, usagef("no database: set %s to its connection string, or name another variable by --dsn-from", variable)
	}
	return dbbench.Node{Name: "primary", DSN: dsn}, nil
}

// nodesFlag names further servers beside the primary.
func nodesFlag(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringArray("node", nil, "a further server, NAME=VARIABLE, where VARIABLE holds its connection string (repeatable)")
}

// nodes returns the primary and the further servers.
func (a *app) nodes(primary string, further []string) ([]dbbench.Node, error) {
	node, err := a.node(primary)
	if err != nil {
		return nil, err
	}
	all := []dbbench.Node{node}
	for _, text := range further {
		name, variable, ok := strings.Cut(text, "=")
		if !ok || name == "" || variable == "" {
			return nil, usagef("--node %s: it is NAME=VARIABLE, such as replica-0=REPLICA_0_URL", text)
		}
		if slices.ContainsFunc(all, func(n dbbench.Node) bool { return n.Name == name }) {
			return nil, usagef("--node %s: the name %s is given twice", text, name)
		}
		dsn, _ := a.lookup(variable)
		if dsn == "" {
			return nil, usagef("--node %s: set %s to the connection string of %s", text, variable, name)
		}
		all = append(all, dbbench.Node{Name: name, DSN: dsn})
	}
	return all, nil
}

// environmentFault wraps what a database did not allow, without its passwords.
func environmentFault(err error, nodes ...dbbench.Node) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	secrets := &redact.Secrets{}
	for _, n := range nodes {
		secrets.AddDSN(n.DSN)
	}
	return &validation.EnvironmentError{Err: errors.New(secrets.String(err.Error()))}
}

func outputFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("output", "text", "text or json")
}

// checkOutput refuses a form of output that there is not, before anything is done.
func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return usagef("--output is text or json, not %q", output)
	}
	return nil
}

// refuse refuses flags that would be ignored: with or without says with what.
func refuse(cmd *cobra.Command, with string, flags ...string) error {
	for _, name := range flags {
		if cmd.Flags().Changed(name) {
			return usagef("--%s does not go %s", name, with)
		}
	}
	return nil
}

// writeData writes data as JSON, or as text says.
func (a *app) writeData(output string, data any, text func(io.Writer, reports.TerminalStyle) error) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	if output == "text" {
		return text(a.out, a.style())
	}
	encoder := json.NewEncoder(a.out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(data); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}
