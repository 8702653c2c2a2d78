package loadgen

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"scaleproof/internal/stats"
)

// Options are what a run takes from outside its configuration. The zero value
// is ready to use.
type Options struct {
	// Source makes the requests. Nil: Config.Targets.
	Source Source
	// OnSecond is told of each second as it completes, the warm-up's with a
	// negative Offset, and of the response times of its successes, which are
	// valid during the call only. It is called by one goroutine, about 100 ms
	// or less after the second's end; while it runs, figures wait but load does
	// not.
	OnSecond func(s Second, response *stats.Histogram)
	// OnProbe is told of each probe of a capacity search as it ends.
	OnProbe func(CurvePoint)
	// OnHit is told of each finished request, by several goroutines at once:
	// hits of one Worker never overlap. The hit and what it refers to are
	// valid during the call only. A slow OnHit slows the load.
	OnHit func(*Hit)
	// Keep asks for the answer's head, and for its body up to KeepBody bytes,
	// in each Hit.
	Keep     bool
	KeepBody int
	// Dial, where not nil, opens the connections, and makes the run use the
	// goroutine engine.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolve, where not nil, looks up the addresses of a host in place of the
	// system's resolver: once before the run, and every ResolveEvery in it (zero:
	// 5 s).
	Resolve      func(ctx context.Context, host string) ([]netip.Addr, error)
	ResolveEvery time.Duration
	// TLS takes the place of Config.TLS where it is not nil.
	TLS *tls.Config
	// Engine is "epoll" (Linux, plaintext), "goroutines", "http2", or "" for the best
	// that serves the targets.
	Engine string
	// Share makes this run one of several that are together the run of Config.
	Share Share
	// Begin, where not nil, is called once all is ready for the first request,
	// and returns when the run starts, its warm-up first: a time to come, or one
	// that has passed, whose requests are then late. Its error ends the run.
	Begin func(ctx context.Context) (time.Time, error)
	// End, where not nil, gives at most one time, at which the run ends if it has
	// not by then.
	End <-chan time.Time
	// OnInterval is told of all that was recorded in each second, as
	// Assembly.Add takes it, and at last of what ended after the last second; it
	// is called before OnSecond and like it. The bytes are valid during the call
	// only.
	OnInterval func(interval []byte)
	// Fleet, where not nil, makes the load in other processes, which make the
	// requests of Config. Source, which must be Config's, then names the targets
	// alone; OnHit is refused, and Dial, Resolve, TLS, Share, Begin, End and
	// OnInterval are without use.
	Fleet Fleet
	// Workers is how many event loops or recorders there are. Zero: as many as
	// the CPUs that this process may use.
	Workers int
}
