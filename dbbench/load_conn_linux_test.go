package dbbench

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A socket that the runtime's poller watches too wakes a thread of it with each
// answer: a third of the CPU time of a client.
func TestADirectConnectionIsWatchedByNobody(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := dialDirect(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	watched := fmt.Sprintf("tfd: %8d ", conn.(*directConn).fd)
	descriptors, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	pollers := 0
	for _, path := range descriptors {
		if kind, _ := os.Readlink(path); kind != "anon_inode:[eventpoll]" { // the glob's own is gone
			continue
		}
		pollers++
		info, err := os.ReadFile("/proc/self/fdinfo/" + filepath.Base(path))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(info), watched) {
			t.Errorf("a poller watches it:\n%s", info)
		}
	}
	if pollers == 0 {
		t.Error("there is no poller: this test looks at the wrong place")
	}
}
