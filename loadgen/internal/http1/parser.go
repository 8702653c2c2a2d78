// Package http1 reads HTTP/1.x answers from a stream that is cut at any byte.
// It finds where an answer ends (RFC 9112, section 6) and keeps nothing of it
// unless asked to: a load generator counts answers, it does not use them.
package http1

import (
	"bytes"
	"errors"
)

// MaxHead is the most that an answer's head may have, interim answers and
// trailers included, in bytes.
const MaxHead = 64 << 10

// MaxLine is the longest line of a head that is accepted, in bytes, its end
// included: what a caller must be able to hold between two calls of Feed.
const MaxLine = 16 << 10

// The faults of an answer.
var (
	ErrMalformed = errors.New("the answer is not HTTP/1")
	ErrHeadLimit = errors.New("the answer's head is longer than 64 KiB, or one of its lines than 16 KiB")
	ErrTruncated = errors.New("the connection closed before the end of the answer")
)

type state uint8

const (
	statusLine state = iota
	headerLine
	counted    // a body of Content-Length
	untilClose // a body that ends with the connection
	chunkLine
	chunkData
	chunkEnd // the CRLF after a chunk
	trailerLine
	complete
)

// The flags of an answer's head.
const (
	isHEAD uint8 = 1 << iota // answers a HEAD request: no body
	version10
	closes
	keepsAlive
	hasLength
	isChunked
	noFold // the last line must not be continued
)

// A Parser reads one answer after the other. Its zero value awaits an answer
// to a request other than HEAD. It holds no reference to what it is fed.
type Parser struct {
	// Keep, where not nil, takes a copy of the answer.
	Keep *Kept

	remaining int64 // bytes left of the body or of the chunk
	bodySize  int64
	headSize  int32
	excess    int32 // overhead of chunks, less what is reasonable
	status    int16
	state     state
	flags     uint8
}

// Kept is the copy of an answer.
type Kept struct {
	Head []byte // from the status line to the blank line, the final answer's
	Body []byte // decoded, cut at Limit
	// Limit is the most that Body takes, in bytes.
	Limit int
}

// Reset makes p await the next answer. head says that it answers a HEAD
// request.
func (p *Parser) Reset(head bool) {
	*p = Parser{Keep: p.Keep}
	if head {
		p.flags = isHEAD
	}
	if p.Keep != nil {
		p.Keep.Head, p.Keep.Body = p.Keep.Head[:0], p.Keep.Body[:0]
	}
}

// Done reports whether the answer is complete.
func (p *Parser) Done() bool { return p.state == complete }

// Status is the status code of the answer, 0 before its status line.
func (p *Parser) Status() int { return int(p.status) }

// KeepAlive reports whether the connection may carry another request after
// the answer, which must be complete.
func (p *Parser) KeepAlive() bool {
	if p.flags&version10 != 0 && p.flags&keepsAlive == 0 {
		return false
	}
	return p.flags&closes == 0
}

// Feed reads data, the stream from where the last call left off, and returns
// how much of it was consumed. Less than all is consumed where the answer is
// complete, or where data ends within a line: the caller then puts the rest
// before what comes next. After an error the stream is of no more use.
func (p *Parser) Feed(data []byte) (n int, err error) {
	for n < len(data) && p.state != complete {
		var used int
		switch p.state {
		case counted, untilClose, chunkData:
			used = p.feedBody(data[n:])
		case chunkEnd:
			if used = min(2, len(data)-n); used < 2 {
				return n, nil
			}
			if data[n] != '\r' || data[n+1] != '\n' {
				return n, ErrMalformed
			}
			p.state = chunkLine
		default:
			if used, err = p.feedLine(data[n:]); err != nil || used == 0 {
				return n, err
			}
		}
		n += used
	}
	return n, nil
}

// Close tells p that the stream has ended. It completes a body that ends with
// the connection; in any other state it returns ErrTruncated.
func (p *Parser) Close() error {
	switch p.state {
	case complete:
	case untilClose:
		p.state = complete
	default:
		return ErrTruncated
	}
	return nil
}

func (p *Parser) feedBody(data []byte) int {
	used := len(data)
	if p.state != untilClose && int64(used) > p.remaining {
		used = int(p.remaining)
	}
	if p.Keep != nil {
		room := max(p.Keep.Limit-len(p.Keep.Body), 0)
		p.Keep.Body = append(p.Keep.Body, data[:min(used, room)]...)
	}
	p.bodySize += int64(used)
	if p.state == untilClose {
		return used
	}
	if p.remaining -= int64(used); p.remaining == 0 {
		if p.state == counted {
			p.state = complete
		} else {
			p.state = chunkEnd
		}
	}
	return used
}

// feedLine consumes one line, or nothing where data holds no whole line.
func (p *Parser) feedLine(data []byte) (int, error) {
	end := bytes.IndexByte(data[:min(len(data), MaxLine)], '\n')
	if end < 0 {
		if len(data) >= MaxLine {
			return 0, ErrHeadLimit
		}
		return 0, nil
	}
	used := end + 1
	if p.state == chunkLine {
		return used, p.chunkLine(data[:used])
	}
	if p.headSize += int32(used); p.headSize > MaxHead {
		return 0, ErrHeadLimit
	}
	line := data[:end]
	if end > 0 && line[end-1] == '\r' {
		line = line[:end-1]
	}
	switch p.state {
	case statusLine:
		if p.Keep != nil {
			p.Keep.Head = p.Keep.Head[:0]
		}
		if !p.statusLine(line) {
			return 0, ErrMalformed
		}
		p.state, p.flags = headerLine, p.flags|noFold
	case trailerLine:
		if len(line) == 0 {
			p.state = complete
		}
		return used, nil
	default:
		if err := p.headerLine(line); err != nil {
			return 0, err
		}
	}
	if p.Keep != nil {
		p.Keep.Head = append(p.Keep.Head, data[:used]...)
	}
	return used, nil
}

// endHead decides from the head how the body is framed (RFC 9112, 6.3).
func (p *Parser) endHead() {
	switch {
	case p.status >= 100 && p.status < 200 && p.status != 101:
		// An interim answer: the final one follows. Its head counts on.
		p.state, p.flags = statusLine, p.flags&isHEAD
		p.remaining = 0
	case p.status == 101:
		p.state, p.flags = complete, p.flags|closes
	case p.flags&isHEAD != 0 || p.status == 204 || p.status == 304:
		p.state = complete
	case p.flags&isChunked != 0:
		p.state = chunkLine
	case p.flags&hasLength != 0:
		if p.state = counted; p.remaining == 0 {
			p.state = complete
		}
	default:
		p.state, p.flags = untilClose, p.flags|closes
	}
}
