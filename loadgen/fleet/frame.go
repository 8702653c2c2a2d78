package fleet

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// version is that of the protocol: both sides must have the same.
const version = 1

// A kind tells what a frame is.
type kind byte

const (
	kindHello kind = iota + 1
	kindChallenge
	kindProof
	kindWelcome
	kindRefusal
	kindJob
	kindReady
	kindPing
	kindPong
	kindStart
	kindInterval
	kindEnd
	kindCancel
	kindDone
	kindFailed
	kindBye
	kinds // behind the last
)

// The bounds of frames. Whoever has not proved anything yet may send no more
// than greeting.
const (
	greetingLimit = 4 << 10
	frameLimit    = 256 << 20 // a job with its files
)

// errFrame says that what came is no frame.
var errFrame = errors.New("what came is not of this protocol")

// appendFrame appends a frame to buf.
func appendFrame(buf []byte, k kind, body []byte) []byte {
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(body)+1))
	return append(append(buf, byte(k)), body...)
}

// readFrame reads one frame whose body is of limit bytes at most. io.EOF means
// that the stream ended before it.
func readFrame(r io.Reader, limit int) (kind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	length, k := int64(binary.BigEndian.Uint32(head[:]))-1, kind(head[4])
	if length < 0 || length > int64(limit) || k == 0 || k >= kinds {
		return 0, nil, errFrame
	}
	// What a liar announces is not allocated before it comes.
	const step = 1 << 20
	body := make([]byte, 0, min(length, step))
	for int64(len(body)) < length {
		more := min(length-int64(len(body)), step)
		body = append(body, make([]byte, more)...)
		if _, err := io.ReadFull(r, body[int64(len(body))-more:]); err != nil {
			return 0, nil, io.ErrUnexpectedEOF
		}
	}
	return k, body, nil
}

// decode reads the JSON body of a frame.
func decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%w: %w", errFrame, err)
	}
	return nil
}

// encode is the JSON body of a frame.
func encode(message any) ([]byte, error) {
	body, err := json.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("writing a message: %w", err)
	}
	return body, nil
}
