package scaling

import (
	"context"
	"errors"
	"fmt"
)

// A Lock keeps two runs off the same target.
type Lock interface {
	// Keep holds on to the lock until ctx ends or stop is called. Once the lock is
	// lost, the returned context ends with a cause that wraps ErrLockLost.
	Keep(ctx context.Context) (kept context.Context, stop func())
	// Release gives the lock up, unless another has taken it over.
	Release(ctx context.Context) error
}

// A LockedError says that another run holds a lock.
type LockedError struct {
	Holder  string
	Target  string // what the lock is of
	Renewed string // RFC 3339, by the holder's clock; empty where it lives with its holder
}

func (e *LockedError) Error() string {
	renewed := ""
	if e.Renewed != "" {
		renewed = fmt.Sprintf(" (its lock was last renewed at %s)", e.Renewed)
	}
	return fmt.Sprintf("%s is acting on %s%s: wait for it, or end it", e.Holder, e.Target, renewed)
}

// ErrLockLost says that another run has taken the lock over.
var ErrLockLost = errors.New("the lock was lost: another run has taken it over, or it could not be renewed in time")
