package loadgen

import "context"

// A Fleet makes the load of a run in several processes that share it. Run and
// the capacity search use it as they use this process.
type Fleet interface {
	// Run is loadgen.Run for a configuration that searches no capacity. The
	// result is that of the whole; where the fleet did not complete it, it is
	// Invalid, and says which process failed and why. An error means that nothing
	// was measured. Of opts it uses Source (for the names of the targets), Engine,
	// Workers and OnSecond, and it refuses OnHit.
	Run(ctx context.Context, cfg Config, opts Options) (*Result, error)
}
