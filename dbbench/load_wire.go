package dbbench

import (
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// encode appends the messages that run a case: those that libpq sends for a
// prepared statement.
func (cc *clientCase) encode(b []byte) []byte {
	for i, d := range cc.draws {
		cc.args[i] = d(cc.args[i][:0])
	}
	for _, message := range []pgproto3.FrontendMessage{
		&pgproto3.Bind{PreparedStatement: cc.statement, Parameters: cc.args}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{},
	} {
		b, _ = message.Encode(b) // fails only on what is larger than a gigabyte, and then the server refuses it
	}
	return b
}

// A wireReader finds the end of an answer in the server's messages, and an error
// among them. Rows are passed over.
type wireReader struct {
	head  [5]byte // a message's type and length
	have  int     // bytes of head
	left  int     // bytes of the body that are still to come
	body  []byte  // of an error
	fault error   // of the transaction
}

// maxMessage is the longest message of the protocol, and maxFault of an error that
// is read in full.
const (
	maxMessage = 1 << 30
	maxFault   = 1 << 20
)

// feed takes what has come, and tells whether the answer is complete. An error is
// of the protocol, after which the connection is of no use.
func (r *wireReader) feed(data []byte) (ready bool, err error) {
	for len(data) > 0 {
		if r.have < len(r.head) {
			n := copy(r.head[r.have:], data)
			r.have += n
			data = data[n:]
			if r.have < len(r.head) {
				return ready, nil
			}
			if r.left = int(binary.BigEndian.Uint32(r.head[1:])) - 4; r.left < 0 || r.left > maxMessage {
				return false, fmt.Errorf("the server sent a message of %d bytes", r.left)
			}
			r.body = r.body[:0]
		}
		n := min(r.left, len(data))
		if r.head[0] == 'E' && len(r.body) < maxFault {
			r.body = append(r.body, data[:n]...)
		}
		r.left -= n
		data = data[n:]
		if r.left > 0 {
			return ready, nil
		}
		r.have = 0
		done, err := r.end()
		if err != nil {
			return false, err
		}
		ready = ready || done
	}
	return ready, nil
}

// end takes a message that is complete.
func (r *wireReader) end() (ready bool, err error) {
	switch r.head[0] {
	case 'Z':
		return true, nil
	case 'E':
		var response pgproto3.ErrorResponse
		if err := response.Decode(r.body); err != nil {
			return false, fmt.Errorf("reading an error of the server: %w", err)
		}
		r.fault = pgconn.ErrorResponseToPgError(&response)
	}
	return false, nil
}
