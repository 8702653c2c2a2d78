package workers

import (
	"context"
	"errors"
	"io"

	"scaleproof/internal/kubectl"
	"scaleproof/loadgen"
)

// Options are what the start of any workers takes from outside the load's
// configuration.
type Options struct {
	Program string    // this program's path, for processes of this machine
	Build   string    // its version
	Err     io.Writer // what local workers say
	ID      string    // of the run: lower-case letters, digits and -
	// Client, where pods are wanted, acts on their context and namespace.
	Client *kubectl.Client
}

// Start starts the workers that a load names.
func Start(ctx context.Context, load loadgen.Config, opts Options) (*Fleet, error) {
	if load.Workers.Local {
		return Local(ctx, LocalOptions{opts.Program, load.Workers.Count, opts.Build, opts.Err})
	}
	if opts.Client == nil {
		return nil, errors.New("workers on Kubernetes need a context and a namespace")
	}
	return Job(ctx, JobOptions{opts.Client, load, opts.Build, opts.ID})
}
