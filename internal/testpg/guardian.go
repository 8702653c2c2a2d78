package testpg

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// guardianScript waits until its standard input ends, which happens when this
// process dies, however it dies. Then it ends the server, whose process id it
// takes from the folder itself, and removes the folder.
const guardianScript = `
read -r _
file="$1/data/postmaster.pid"
if [ -f "$file" ]; then
	pid=$(head -n 1 "$file")
	kill -QUIT "$pid" 2>/dev/null
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.25
	done
	kill -KILL "$pid" 2>/dev/null
fi
rm -rf -- "$1"
`

// A guardian is a process that outlives this one only to clean up after it.
type guardian struct {
	cmd   *exec.Cmd
	alive io.Closer
}

func guard(dir string) (*guardian, error) {
	cmd := exec.Command("/bin/sh", "-c", guardianScript, "scaleproof-guardian", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the guardian of %s: %w", dir, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the guardian of %s: %w", dir, err)
	}
	return &guardian{cmd, alive}, nil
}

// dismiss ends the guardian, which finds nothing left to do.
func (g *guardian) dismiss() {
	_ = g.alive.Close()
	_ = g.cmd.Wait() // its exit code tells nothing that matters here
}
