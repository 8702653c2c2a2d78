package shard

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A pipe copies rows from one database to another, through this process and
// without a file.
type pipe struct {
	source, target *pgx.Conn
	gate           *gate
	meter          *meter
}

// pipeBuffer is how much is handed over at once. With it and the buffers of the
// two connections a pipe takes well under 1 MiB, whatever the size of the table.
const pipeBuffer = 128 << 10

// copyFormat is binary where every column is of a type that comes with Postgres,
// whose form is the same on all versions, else text: types that a database has
// made carry its own numbers in the binary form.
func copyFormat(t *Table) string {
	const firstNormalOID = 16384
	for _, c := range t.Columns {
		if c.typeOID >= firstNormalOID || strings.HasPrefix(c.Type, "reg") || strings.HasSuffix(c.Type, "aclitem") {
			return "text"
		}
	}
	return "binary"
}

// copyRows copies what query selects into a table's stored columns, within
// whatever transactions the two sessions have, and returns how many rows it were.
func (p *pipe) copyRows(ctx context.Context, t *Table, query string) (int64, error) {
	return p.copyInto(ctx, t.String(), copyFormat(t), query, t.sql()+" ("+idents("", t.stored())+")")
}

// copyInto copies what query selects into columns of any table; what names it for
// errors.
func (p *pipe) copyInto(ctx context.Context, what, format, query, into string) (int64, error) {
	reader, writer := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	read := make(chan error, 1)
	go func() {
		buffered := bufio.NewWriterSize(writer, pipeBuffer)
		_, err := p.source.PgConn().CopyTo(ctx, p.meter.counting(p.gate.writer(ctx, buffered)), "COPY ("+query+") TO STDOUT (FORMAT "+format+")")
		if err == nil {
			err = buffered.Flush()
		}
		read <- err                // before the other side can fail for it
		writer.CloseWithError(err) // nil is the end
	}()
	tag, writeErr := p.target.PgConn().CopyFrom(ctx, reader, "COPY "+into+" FROM STDIN (FORMAT "+format+")")
	var readErr error
	if writeErr == nil {
		readErr = <-read
	} else {
		select {
		case readErr = <-read: // the source ended first
		default:
			_ = reader.CloseWithError(writeErr) // so that the other side ends
			cancel()
			<-read
		}
	}
	switch {
	case readErr != nil:
		return 0, fmt.Errorf("copying %s out of the source: %w", what, readErr)
	case writeErr != nil:
		return 0, fmt.Errorf("copying %s into the target: %w", what, writeErr)
	}
	return tag.RowsAffected(), nil
}

// selectSQL selects the stored columns of the rows of from that move and that
// condition takes.
func (c *Catalog) selectSQL(t *Table, from, condition string) string {
	return fmt.Sprintf("SELECT %s FROM %s t WHERE %s AND %s", idents("t.", t.stored()), from, condition, c.where(t, "t"))
}
