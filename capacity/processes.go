package capacity

import (
	"context"
	"fmt"
	"slices"

	"github.com/shirou/gopsutil/v3/process"
)

// FindProcesses returns the processes of programs, by the programs' names as the
// system tells them (of at most 15 characters on Linux, where a longer one is
// compared by its file). A program that does not run has none.
func FindProcesses(ctx context.Context, programs []string) (map[string][]int32, error) {
	found := map[string][]int32{}
	if len(programs) == 0 {
		return found, nil
	}
	all, err := process.ProcessesWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the processes: %w", err)
	}
	for _, p := range all {
		name, err := p.NameWithContext(ctx)
		if err != nil {
			continue // one that has ended
		}
		if slices.Contains(programs, name) {
			found[name] = append(found[name], p.Pid)
		}
	}
	return found, nil
}
