package validation

import (
	"context"
	"time"

	"scaleproof/loadgen"
)

// A settler tells when the seconds of a load, from when it is asked on, are a
// steady state.
type settler struct {
	seconds chan loadgen.Second
}

func newSettling() *settler { return &settler{make(chan loadgen.Second, settling)} }

// see takes a second, and keeps the last ones.
func (s *settler) see(second loadgen.Second) {
	for {
		select {
		case s.seconds <- second:
			return
		default:
		}
		select {
		case <-s.seconds:
		default:
		}
	}
}

// await returns when the last seconds that began since it was called are
// steady, after limit, or with ctx.
func (s *settler) await(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for len(s.seconds) > 0 {
		<-s.seconds
	}
	var last []loadgen.Second
	for skip := true; ; skip = false { // the first second began before
		select {
		case second := <-s.seconds:
			if skip {
				continue
			}
			if last = append(last, second); len(last) > settling {
				last = last[1:]
			}
			if len(last) == settling && loadgen.Settled(last) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
