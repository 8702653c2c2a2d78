package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// An answer counts for the question that was there when it was typed, also where
// another one was answered elsewhere.
func TestAskingAtTheTerminal(t *testing.T) {
	in, person := io.Pipe()
	defer in.Close()
	screen, out := io.Pipe()
	ask := asking(in, out)
	shown := make(chan string)
	go func() { // each prompt is one write
		buffer := make([]byte, 1<<10)
		for {
			n, err := screen.Read(buffer)
			if err != nil {
				return
			}
			shown <- string(buffer[:n])
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { _, err := ask(ctx, "first?"); ended <- err }()
	<-shown
	cancel() // it was answered elsewhere
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the first question ended with %v", err)
	}
	answers := make(chan bool)
	go func() {
		a, err := ask(t.Context(), "second?")
		if err != nil || a.By == "" {
			t.Errorf("%+v, %v", a, err)
		}
		answers <- a.Yes
	}()
	if text := <-shown; !strings.Contains(text, "second?") {
		t.Errorf("it shows %q", text)
	}
	if _, err := io.WriteString(person, "what?\n"); err != nil {
		t.Fatal(err)
	}
	<-shown // it asks again
	if _, err := io.WriteString(person, "Yes\n"); err != nil {
		t.Fatal(err)
	}
	if !<-answers {
		t.Error("yes was taken for no")
	}
}
