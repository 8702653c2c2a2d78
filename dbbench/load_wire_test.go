package dbbench

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// answer is what a server sends for a statement: two rows, or an error.
func answer(t testing.TB, fault bool) []byte {
	t.Helper()
	messages := []pgproto3.BackendMessage{
		&pgproto3.BindComplete{}, &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("Z")}}},
		&pgproto3.DataRow{Values: [][]byte{[]byte("E\x00\x00\x00\x05Z"), nil}}, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 2")},
	}
	if fault {
		messages = []pgproto3.BackendMessage{&pgproto3.BindComplete{}, &pgproto3.ErrorResponse{Severity: "ERROR", Code: "22012", Message: "division by zero"}}
	}
	var b []byte
	for _, m := range append(messages, &pgproto3.ReadyForQuery{TxStatus: 'I'}) {
		var err error
		if b, err = m.Encode(b); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// However an answer is cut into pieces, it is complete at its last byte and not
// before, and its error is found.
func TestAnAnswerIsFoundInAnyPieces(t *testing.T) {
	for _, fault := range []bool{false, true} {
		data := answer(t, fault)
		for size := 1; size <= len(data); size++ {
			var r wireReader
			for at := 0; at < len(data); at += size {
				end := min(at+size, len(data))
				ready, err := r.feed(data[at:end])
				if err != nil || ready != (end == len(data)) {
					t.Fatalf("pieces of %d: at byte %d of %d ready is %v, %v", size, end, len(data), ready, err)
				}
			}
			var found *pgconn.PgError
			if errors.As(r.fault, &found) != fault || fault && found.Code != "22012" {
				t.Fatalf("pieces of %d: fault %v", size, r.fault)
			}
		}
	}
}

func FuzzWireReader(f *testing.F) {
	f.Add(answer(f, false), 7)
	f.Add(answer(f, true), 1)
	f.Add([]byte{'E', 0, 0, 0, 0}, 5)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		size = min(max(size, 1), max(len(data), 1))
		var whole, pieces wireReader
		ready, err := whole.feed(data)
		inPieces := false
		for at := 0; at < len(data); at += size {
			var done bool
			var fault error
			done, fault = pieces.feed(data[at:min(at+size, len(data))])
			inPieces = inPieces || done
			if fault != nil {
				if err == nil {
					t.Fatalf("pieces of %d give %v", size, fault)
				}
				return
			}
		}
		if err != nil || ready != inPieces || len(pieces.body) > maxFault+size {
			t.Fatalf("the whole gives %v and %v, pieces of %d %v", ready, err, size, inPieces)
		}
	})
}
