package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Interrupts are the two signals that a person or a system sends to end a
// command: the first asks it to stop and clean up, the second to leave at once.
type interrupts struct {
	// first ends with the first signal, second with the second.
	first, second context.Context
	stop          func()
}

// sameInterrupt is how long after the first signal another is taken for the same one:
// timeout(1), and a supervisor that signals a process and its group, send it twice, and
// mean no second Ctrl-C, which would leave an action half done.
const sameInterrupt = 500 * time.Millisecond

// interrupts listens for SIGINT and SIGTERM until stop is called. At the first
// one it says notice on stderr. A reader of the output that goes ends the command no
// more, and a terminal that hangs up is the first.
func (a *app) interrupts(ctx context.Context, notice string) interrupts {
	first, endFirst := context.WithCancel(ctx)
	second, endSecond := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	// Ctrl-C ends a tee that reads the output, too: what was done must be undone all the
	// same. The write fails instead. To ignore the signal would make children ignore it.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	hangUps := make(chan os.Signal, 1)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(hangUps, syscall.SIGHUP)
	}
	go func() {
		var began time.Time
		for {
			select {
			case <-signals:
			case <-hangUps: // the shell and the kernel may both tell: more of them say no more
				endFirst()
				continue
			case <-second.Done():
				return
			}
			switch {
			case began.IsZero():
				began = time.Now()
				fmt.Fprintln(a.err, "\n"+notice)
				endFirst()
			case time.Since(began) > sameInterrupt:
				endSecond()
			}
		}
	}()
	return interrupts{first, second, func() {
		signal.Stop(signals)
		signal.Stop(hangUps)
		endFirst()
		endSecond()
	}}
}
