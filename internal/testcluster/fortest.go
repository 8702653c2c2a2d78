package testcluster

import (
	"context"
	"fmt"
	"os"
	"time"
)

// startTimeout bounds the start of a cluster, which takes some 20 s, on a busy
// machine.
const startTimeout = 3 * time.Minute

// Main starts one cluster for all tests of a binary, hands it to them, runs
// them, stops it and returns the exit code. It is what TestMain calls:
//
//	func TestMain(m *testing.M) { os.Exit(testcluster.Main(m, &cluster)) }
func Main(m interface{ Run() int }, cluster **Cluster) int {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	began := time.Now()
	c, err := Start(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer c.Stop() // what it can't remove is the guardian's
	fmt.Fprintf(os.Stderr, "cluster: ready after %.1f s\n", time.Since(began).Seconds())
	*cluster = c
	code := m.Run()
	if code != 0 {
		fmt.Fprintln(os.Stderr, c.Logs())
	}
	return code
}
