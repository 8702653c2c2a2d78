package loadgen

import "time"

// A Hit is one finished request. Times are from the run's start, its warm-up
// included.
type Hit struct {
	Started time.Time // the run's start
	Seq     int64     // the request's number
	Target  int       // index of the source's targets
	Worker  int       // which worker, from 0: hits of one worker never overlap
	Status  int       // 0 without an answer
	Kind    string    // why it failed, as in Result.Errors; "" for a success
	// Intended is when the schedule wanted the request, Sent when the
	// generator began with it (to connect where there was no connection, else
	// to write), FirstByte when the answer began (0: never), End when it was
	// complete or had failed.
	Intended, Sent, FirstByte, End time.Duration
	BytesIn, BytesOut              int64
	// Warmup says that the request is not part of the measured window.
	Warmup bool
	// Request is what was sent; Head and Body are the answer's, where
	// Options.KeepBody asks for them. They are valid during the call only.
	Request, Head, Body []byte
}

// sample is a Hit as the engines keep it.
type sample struct {
	seq                            int64
	intended, sent, firstByte, end int64 // nanoseconds from the start
	bytesIn, bytesOut              int64
	target                         int32
	phase                          int32 // 1 + the group of the phase in which it was due; 0: none has one
	backend                        int32 // -1: never connected
	status                         int16
	kind                           kind
	starved                        bool // no connection was free when it was due
	named                          bool // the target has a group, of its number
}
