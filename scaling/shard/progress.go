package shard

import (
	"context"
	"io"
	"sync/atomic"
	"time"
)

// Progress is how far a phase is.
type Progress struct {
	Doing   string        // in a word or two
	Rows    int64         // done
	Total   int64         // as the planner expects; 0: unknown
	Bytes   int64         // through this process
	Rate    float64       // rows per second since the phase began
	Left    time.Duration // 0: unknown
	Waiting string        // why it is held back; empty: it is not
}

// progressInterval is the time between reports.
const progressInterval = time.Second

// A meter counts what a phase has done.
type meter struct{ rows, bytes atomic.Int64 }

// counting counts what goes to w: COPY sends each row as one message, which is
// one write.
func (m *meter) counting(w io.Writer) io.Writer { return &countingWriter{w, m} }

type countingWriter struct {
	io.Writer
	meter *meter
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.meter.rows.Add(1)
	c.meter.bytes.Add(int64(n))
	return n, err
}

// watch reports the meter until the function that it returns is called, which
// reports once more.
func (j *Job) watch(ctx context.Context, doing string, total int64, m *meter, waiting func() string) (stop func()) {
	began := j.opts.Now()
	before := m.rows.Load()
	report := func() {
		p := Progress{Doing: doing, Rows: m.rows.Load(), Total: total, Bytes: m.bytes.Load(), Waiting: waiting()}
		if elapsed := j.opts.Now().Sub(began).Seconds(); elapsed > 0 {
			p.Rate = float64(p.Rows-before) / elapsed
		}
		if p.Rate > 0 && total > p.Rows {
			p.Left = time.Duration(float64(total-p.Rows) / p.Rate * float64(time.Second))
		}
		j.opts.OnProgress(p)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				report()
			}
		}
	}()
	return func() {
		cancel()
		<-done
		report()
	}
}
