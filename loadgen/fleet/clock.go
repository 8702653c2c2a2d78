package fleet

import (
	"encoding/binary"
	"math"
	"time"
)

// A reading is one exchange of clocks.
type reading struct {
	offset time.Duration // of the worker's clock, ahead of the coordinator's
	trip   time.Duration // the round trip
}

// fault is how far the offset may be wrong: the two ways took between nothing and
// all of the round trip.
func (r reading) fault() time.Duration { return r.trip / 2 }

// noReading is worse than any.
var noReading = reading{trip: math.MaxInt64}

// A pong holds the times of an exchange, in nanoseconds since 1970: when the ping
// was sent, by the coordinator's clock, and when it came and the pong went, by the
// worker's.
type pong struct{ sent, came, went int64 }

func (p pong) append(buf []byte) []byte {
	for _, t := range []int64{p.sent, p.came, p.went} {
		buf = binary.BigEndian.AppendUint64(buf, uint64(t))
	}
	return buf
}

func parsePong(body []byte) (p pong, err error) {
	if len(body) != 24 {
		return pong{}, errFrame
	}
	return pong{int64(binary.BigEndian.Uint64(body)), int64(binary.BigEndian.Uint64(body[8:])), int64(binary.BigEndian.Uint64(body[16:]))}, nil
}

// read makes a reading of a pong that has come back (RFC 5905, section 8).
func (p pong) read(back int64) reading {
	return reading{
		offset: time.Duration((p.came-p.sent)/2 + (p.went-back)/2),
		trip:   max(time.Duration((back-p.sent)-(p.went-p.came)), 0),
	}
}
