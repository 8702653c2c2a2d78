package fleet

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// An event is something that a worker told of a run, or its loss.
type event struct {
	member   *member
	kind     kind
	sequence uint64
	interval []byte
	done     *done
	reason   string
}

// kindLost is the event of a lost worker; it is never in a frame.
const kindLost = kinds

// A member is the coordinator's end of one worker.
type member struct {
	hello
	conn *tls.Conn
	now  func() time.Time
	// deliver hands an event on to the run that is on; it drops those of others.
	deliver func(run int64, e event)

	writing sync.Mutex
	pongs   chan reading
	gone    chan struct{} // closed once the worker is lost
	reason  string        // why; to be read once gone is closed
}

// serve reads what the worker says until it is lost.
func (m *member) serve() {
	err := m.read()
	m.conn.Close()
	m.reason = lossText(err)
	close(m.gone)
	m.deliver(0, event{member: m, kind: kindLost, reason: m.reason})
}

// lossText says why a worker is lost.
func lossText(err error) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("it was lost: nothing was heard of it for %s", silence)
	case errors.Is(err, errFrame):
		return err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it was lost: its connection ended"
	}
	return fmt.Sprintf("it was lost: %v", err)
}

func (m *member) read() error {
	in := bufio.NewReaderSize(m.conn, 16<<10)
	for {
		_ = m.conn.SetReadDeadline(time.Now().Add(silence))
		k, body, err := readFrame(in, frameLimit)
		back := m.now().UnixNano()
		if err != nil {
			return err
		}
		run, e := int64(0), event{member: m, kind: k}
		switch k {
		case kindPong:
			p, err := parsePong(body)
			if err != nil {
				return err
			}
			select {
			case m.pongs <- p.read(back):
			default: // nobody wants it
			}
			continue
		case kindInterval:
			run, e.sequence, e.interval, err = splitInterval(body)
		case kindReady:
			var s signal
			err = decode(body, &s)
			run = s.Run
		case kindDone:
			e.done = &done{}
			err = decode(body, e.done)
			if run = e.done.Run; err == nil && e.done.Result == nil {
				err = errFrame
			}
		case kindFailed:
			var f failure
			err = decode(body, &f)
			run, e.reason = f.Run, f.Reason
		default:
			err = errFrame
		}
		if err != nil {
			return err
		}
		m.deliver(run, e)
	}
}

// send writes a frame. What can't be written is told by the reader: the
// connection is then closed.
func (m *member) send(k kind, body []byte) {
	m.writing.Lock()
	defer m.writing.Unlock()
	_ = m.conn.SetWriteDeadline(time.Now().Add(silence))
	if _, err := m.conn.Write(appendFrame(nil, k, body)); err != nil {
		m.conn.NetConn().Close()
	}
}

func (m *member) tell(k kind, message any) error {
	body, err := encode(message)
	if err == nil {
		m.send(k, body)
	}
	return err
}

func (m *member) ping() { m.send(kindPing, pong{sent: m.now().UnixNano()}.append(nil)) }

// keepAlive pings the worker until it is lost.
func (m *member) keepAlive() {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.ping()
		case <-m.gone:
			return
		}
	}
}

// exchanges is how often the clocks are compared: the shortest of some round
// trips is one without a queue.
const exchanges = 8

// readClock compares the clocks. The loss of the worker gives noReading.
func (m *member) readClock(ctx context.Context) reading {
	for len(m.pongs) > 0 {
		<-m.pongs // of an earlier ping
	}
	best := noReading
	for range exchanges {
		m.ping()
		select {
		case r := <-m.pongs:
			if r.trip < best.trip {
				best = r
			}
		case <-m.gone:
			return noReading
		case <-ctx.Done():
			return best
		}
	}
	return best
}

// lost reports whether the worker is, and why.
func (m *member) lost() (reason string, lost bool) {
	select {
	case <-m.gone:
		return m.reason, true
	default:
		return "", false
	}
}
