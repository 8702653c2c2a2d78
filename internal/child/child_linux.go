package child

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// attributes put a program into a group of its own, and let the kernel end it when
// this process dies, whatever of.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// marked returns the processes of this machine, but for this one, in whose environment
// name=value stands. Of those of other users nothing can be read.
func marked(name, value string) []int {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	var pids []int
	for _, file := range files {
		environ, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended, or is another user's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		for _, entry := range bytes.Split(environ, []byte{0}) {
			if string(entry) == name+"="+value {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
