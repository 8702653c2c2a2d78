package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"scaleproof/internal/sample"
)

// sampleCommand holds the processes of the demo's application.
func (a *app) sampleCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "sample", Short: "The processes of the demo's application", Hidden: true}
	cmd.AddCommand(a.sampleReplicaCommand(), a.sampleProxyCommand())
	return cmd
}

// serviceFlags are the bounds of a replica; the proxy hands them on.
func serviceFlags(cmd *cobra.Command) *sample.ServiceOptions {
	o := &sample.ServiceOptions{}
	cmd.Flags().IntVar(&o.Workers, "workers", 4, "requests served at a time")
	cmd.Flags().DurationVar(&o.Work, "work", 10*time.Millisecond, "time that a request holds its worker beside the database")
	cmd.Flags().IntVar(&o.Connections, "connections", 4, "connections to the database")
	return o
}

func (a *app) sampleReplicaCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "replica", Short: "One replica, on the database DATABASE_URL", Args: cobra.NoArgs}
	opts := serviceFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dsn, _ := a.lookup("DATABASE_URL")
		service, err := sample.NewService(cmd.Context(), dsn, *opts)
		if err != nil {
			return err
		}
		defer service.Close()
		listeners, err := sample.Listen(1)
		if err != nil {
			return err
		}
		return sample.Serve(cmd.Context(), a.in, a.out, sample.Endpoint{Listener: listeners[0], Handler: service})
	}
	return cmd
}

func (a *app) sampleProxyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "proxy", Short: "A proxy that runs the replicas", Args: cobra.NoArgs}
	opts := serviceFlags(cmd)
	replicas := cmd.Flags().Int("replicas", 1, "replicas to start with")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		program, err := os.Executable()
		if err != nil {
			return fmt.Errorf("finding this program: %w", err)
		}
		ctx := cmd.Context()
		proxy := sample.NewProxy(func(ctx context.Context) (*sample.Backend, error) {
			return startReplica(ctx, program, *opts)
		})
		defer proxy.Scale(context.WithoutCancel(ctx), 0)
		if err := proxy.Scale(ctx, *replicas); err != nil {
			return err
		}
		listeners, err := sample.Listen(2)
		if err != nil {
			return err
		}
		return sample.Serve(ctx, a.in, a.out,
			sample.Endpoint{Listener: listeners[0], Handler: proxy},
			sample.Endpoint{Listener: listeners[1], Handler: proxy.Admin(ctx)})
	}
	return cmd
}

func startReplica(ctx context.Context, program string, o sample.ServiceOptions) (*sample.Backend, error) {
	process, err := sample.StartProcess(ctx, program, append([]string{"sample", "replica"}, serviceArgs(o)...), nil)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(process.URLs[0])
	if err != nil {
		process.Stop()
		return nil, fmt.Errorf("reading the address of a replica: %w", err)
	}
	return &sample.Backend{URL: u, Stop: process.Stop}, nil
}

func serviceArgs(o sample.ServiceOptions) []string {
	return []string{
		fmt.Sprint("--workers=", o.Workers),
		fmt.Sprint("--work=", o.Work),
		fmt.Sprint("--connections=", o.Connections),
	}
}
