package scaling

import (
	"context"
	"errors"
	"fmt"

	"scaleproof/internal/child"
)

// The marks of children that are of no one step: undo commands, and kubectl.
const (
	markUndo    = "undo"
	markKubectl = "kubectl"
)

// mark is that of the children of a run that do something.
func mark(id, doing string) string { return id + "/" + doing }

// KubectlMark is the entry of kubectl's environment by which EndLeftovers finds it.
func KubectlMark(id string) string { return child.Mark(mark(id, markKubectl)) }

// marked is the environment of a step whose children can be found when this process is
// dead.
func (x *Executor) marked(doing string) Environment {
	env := x.env
	env.mark = mark(x.id, doing)
	return env
}

// EndLeftovers ends what the process whose journal was recalled has left running on
// this machine: the children of a step that had begun, undo commands, and kubectl. They
// would go on changing what is about to be read. It returns how many there were.
func (x *Executor) EndLeftovers(ctx context.Context, o *Outcome) (int, error) {
	doing := []string{markUndo, markKubectl}
	for i, s := range o.Steps {
		if s.Status == Failed && s.Error == interrupted {
			doing = append(doing, fmt.Sprint(i))
		}
	}
	ended := 0
	var faults []error
	for _, d := range doing {
		n, err := child.EndMarked(ctx, mark(x.id, d))
		ended += n
		faults = append(faults, err)
	}
	return ended, errors.Join(faults...)
}
