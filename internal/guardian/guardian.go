// Package guardian cleans up after a process that starts servers, however that
// process ends.
package guardian

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// script waits until its standard input ends, which happens when this process
// dies. Then it ends the server, whose process id is in a file of the folder, and
// removes the folder.
const script = `
read -r _
if [ -f "$1/$2" ]; then
	pid=$(head -n 1 "$1/$2")
	kill -QUIT "$pid" 2>/dev/null
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.25
	done
	kill -KILL "$pid" 2>/dev/null
fi
rm -rf -- "$1"
`

// A Guardian is a process that outlives this one only to clean up after it.
type Guardian struct {
	cmd   *exec.Cmd
	alive io.Closer
}

// Watch starts the guardian of a folder, and of the server whose process id the
// first line of pidFile, a path within the folder, will be.
func Watch(dir, pidFile string) (*Guardian, error) {
	cmd := exec.Command("/bin/sh", "-c", script, "scaleproof-guardian", dir, pidFile)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the guardian of %s: %w", dir, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the guardian of %s: %w", dir, err)
	}
	return &Guardian{cmd, alive}, nil
}

// Dismiss ends the guardian, once the folder and the server are no more.
func (g *Guardian) Dismiss() {
	_ = g.alive.Close()
	_ = g.cmd.Wait() // its exit code tells nothing that matters here
}
