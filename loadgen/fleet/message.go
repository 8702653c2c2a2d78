package fleet

import (
	"encoding/binary"
	"time"

	"scaleproof/loadgen"
)

// A hello is what a worker says first.
type hello struct {
	Version int    `json:"version"`
	Build   string `json:"build"`
	Index   int    `json:"index"`
	Host    string `json:"host"`
	Way     string `json:"way,omitempty"` // the address that it dialed
	Nonce   []byte `json:"nonce"`
}

// A challenge answers it, and proves the coordinator.
type challenge struct {
	Nonce []byte `json:"nonce"`
	Proof []byte `json:"proof"`
}

// A refusal ends a connection.
type refusal struct {
	Reason string `json:"reason"`
}

// A job is a worker's part of a run.
type job struct {
	Run    int64          `json:"run"`
	Of     int            `json:"of"`
	Load   loadgen.Bundle `json:"load"`
	Engine string         `json:"engine,omitempty"`
	Loops  int            `json:"loops,omitempty"` // 0: as many as the worker's CPUs
}

// A signal is about a run as a whole; At is a time by the worker's clock, in
// nanoseconds since 1970.
type signal struct {
	Run int64 `json:"run"`
	At  int64 `json:"at,omitempty"`
}

// A done ends a worker's part of a run.
type done struct {
	Run       int64           `json:"run"`
	Intervals uint64          `json:"intervals"` // how many it sent
	Late      time.Duration   `json:"late"`      // how long after the start it learnt of it
	Result    *loadgen.Result `json:"result"`
}

// A failure is why a worker can't make its part of a run.
type failure struct {
	Run    int64  `json:"run"`
	Reason string `json:"reason"`
}

// appendInterval puts an interval behind the number of its run and its own in it.
func appendInterval(buf []byte, run int64, sequence uint64, interval []byte) []byte {
	buf = binary.AppendUvarint(buf, uint64(run))
	return append(binary.AppendUvarint(buf, sequence), interval...)
}

// splitInterval takes apart what appendInterval wrote.
func splitInterval(body []byte) (run int64, sequence uint64, interval []byte, err error) {
	number, n := binary.Uvarint(body)
	if n <= 0 || number > 1<<62 {
		return 0, 0, nil, errFrame
	}
	sequence, m := binary.Uvarint(body[n:])
	if m <= 0 {
		return 0, 0, nil, errFrame
	}
	return int64(number), sequence, body[n+m:], nil
}
