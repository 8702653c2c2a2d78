package http1

import (
	"bytes"
	"math"
)

// statusLine reads "HTTP/1.1 200 OK".
func (p *Parser) statusLine(line []byte) bool {
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[8] != ' ' {
		return false
	}
	switch line[7] {
	case '1':
	case '0':
		p.flags |= version10
	default:
		return false
	}
	code := line[9:]
	for len(code) > 0 && code[0] == ' ' {
		code = code[1:]
	}
	if len(code) < 3 || len(code) > 3 && code[3] != ' ' {
		return false
	}
	status := int16(0)
	for _, c := range code[:3] {
		if c < '0' || c > '9' {
			return false
		}
		status = status*10 + int16(c-'0')
	}
	p.status = status
	return status >= 100
}

// headerLine reads "Name: value", of which only the names that say how the
// body is framed and whether the connection lives on are looked at.
func (p *Parser) headerLine(line []byte) error {
	if len(line) == 0 {
		p.endHead()
		return nil
	}
	if line[0] == ' ' || line[0] == '\t' {
		// A folded line continues the one before. What it would add to a
		// framing header is not worth guessing.
		if p.flags&noFold != 0 {
			return ErrMalformed
		}
		return nil
	}
	p.flags &^= noFold
	switch line[0] | 0x20 {
	case 'c':
		if value, ok := valueOf(line, "content-length"); ok {
			return p.contentLength(value)
		}
		if value, ok := valueOf(line, "connection"); ok {
			p.connection(value)
			return nil
		}
	case 't':
		if value, ok := valueOf(line, "transfer-encoding"); ok {
			return p.transferEncoding(value)
		}
	}
	if bytes.IndexByte(line, ':') <= 0 {
		return ErrMalformed
	}
	return nil
}

// valueOf returns the value of a header line if its name, in lower case, is
// name.
func valueOf(line []byte, name string) (value []byte, ok bool) {
	if len(line) <= len(name) || line[len(name)] != ':' || !equalFold(line[:len(name)], name) {
		return nil, false
	}
	return trim(line[len(name)+1:]), true
}

// trim drops the spaces and tabs around text. bytes.Trim is several times as
// slow, which shows at 100,000 answers per second.
func trim(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t') {
		text = text[1:]
	}
	for len(text) > 0 && (text[len(text)-1] == ' ' || text[len(text)-1] == '\t') {
		text = text[:len(text)-1]
	}
	return text
}

// equalFold reports whether text, put in lower case, is lower.
func equalFold(text []byte, lower string) bool {
	if len(text) != len(lower) {
		return false
	}
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func (p *Parser) contentLength(value []byte) error {
	if len(value) == 0 {
		return ErrMalformed
	}
	var n int64
	for _, c := range value {
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			return ErrMalformed
		}
		n = n*10 + int64(c-'0')
	}
	// Two lengths must agree (RFC 9112, 6.3).
	if p.flags&hasLength != 0 && n != p.remaining {
		return ErrMalformed
	}
	p.remaining = n
	p.flags |= hasLength | noFold
	return nil
}

func (p *Parser) connection(value []byte) {
	p.flags |= noFold
	for len(value) > 0 {
		token := value
		if comma := bytes.IndexByte(value, ','); comma >= 0 {
			token, value = value[:comma], value[comma+1:]
		} else {
			value = nil
		}
		switch token = trim(token); {
		case equalFold(token, "close"):
			p.flags |= closes
		case equalFold(token, "keep-alive"):
			p.flags |= keepsAlive
		}
	}
}

// transferEncoding accepts "chunked" once, like net/http: anything else leaves
// the end of the answer to be guessed. HTTP/1.0 knows no transfer codings.
func (p *Parser) transferEncoding(value []byte) error {
	p.flags |= noFold
	if p.flags&version10 != 0 {
		return nil
	}
	if p.flags&isChunked != 0 || !equalFold(value, "chunked") {
		return ErrMalformed
	}
	p.flags |= isChunked
	return nil
}

// chunkLine reads "1a;extension\r\n".
func (p *Parser) chunkLine(line []byte) error {
	cr := bytes.IndexByte(line, '\r')
	if cr < 0 || cr != len(line)-2 {
		return ErrMalformed
	}
	size := line[:cr]
	if semicolon := bytes.IndexByte(size, ';'); semicolon >= 0 {
		size = size[:semicolon]
	} else {
		size = bytes.TrimRight(size, " \t")
	}
	if len(size) == 0 || len(size) > 16 {
		return ErrMalformed
	}
	var n uint64
	for _, c := range size {
		digit, ok := hexDigit(c)
		if !ok {
			return ErrMalformed
		}
		n = n<<4 | uint64(digit)
	}
	if n > math.MaxInt64 {
		return ErrMalformed
	}
	return p.startChunk(int64(n), len(line))
}

// startChunk bounds what a sender may waste on chunk lines as net/http does:
// twice the data and 16 bytes a chunk are free, 16 KiB beyond that are not.
func (p *Parser) startChunk(n int64, line int) error {
	free := 16 + 2*min(n, 1<<20)
	p.excess = int32(max(int64(p.excess)+int64(line)-free, 0))
	if p.excess > 16<<10 {
		return ErrHeadLimit
	}
	p.remaining = n
	if p.state = chunkData; n == 0 {
		p.state = trailerLine
	}
	return nil
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
