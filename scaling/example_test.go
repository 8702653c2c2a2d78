package scaling_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"scaleproof/internal/redact"
	"scaleproof/scaling"
)

// A step changes a file, and is undone to what the file held before.
func ExampleExecutor() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "replicas")
	if err := os.WriteFile(path, []byte("1"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	executor := scaling.NewExecutor(scaling.Environment{
		Environ: os.Environ(), Now: time.Now, Secrets: &redact.Secrets{},
	}, nil, func(e scaling.Event) {
		if e.Status != scaling.Pending {
			fmt.Println(e.Step, e.Status)
		}
	})
	outcome, err := executor.Apply(context.Background(), "example", []scaling.Step{{
		Name: "scale-out",
		Exec: &scaling.Exec{
			Command: []string{"sh", "-c", "printf 4 > " + path},
			Undo:    []string{"sh", "-c", `printf %s "$SCALEPROOF_PRIOR" > ` + path},
			Read:    []string{"cat", path},
			Expect:  "4",
		},
	}})
	fmt.Println(outcome.Status, err)
	undone := executor.Rollback(context.Background(), outcome, "an example")
	data, _ := os.ReadFile(path)
	fmt.Println("verified:", undone.Verified, "and the file holds", strings.TrimSpace(string(data)))
	// Output:
	// scale-out applied
	// applied <nil>
	// scale-out rolled-back
	// verified: true and the file holds 1
}
