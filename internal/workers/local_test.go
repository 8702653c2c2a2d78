package workers

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// A worker that was let go has its time to hear of it, before it hears of its parent's
// end, of which it would complain.
func TestAWorkerThatWasLetGoDoesNotComplain(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "worker")
	const script = `#!/bin/sh
read secret
timeout .05 cat && echo the parent has ended >&2
exit 0
`
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	p, err := startProcess(LocalOptions{Program: program, Count: 1, Err: &said}, 0, "", nil, make(chan error, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.end(); err != nil || said.Len() > 0 {
		t.Errorf("%v, %q", err, said.String())
	}
}
