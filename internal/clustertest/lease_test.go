//go:build cluster

package clustertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"scaleproof/internal/testcluster"
	"scaleproof/scaling"
)

func lock(s *stage, holder string) scaling.LeaseConfig {
	return scaling.LeaseConfig{Name: scaling.LeaseName, Holder: holder, Duration: 2 * time.Second, Now: time.Now}
}

func TestOneRunHoldsTheLock(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	client := s.client(testcluster.AdminContext)
	first, err := scaling.AcquireLease(t.Context(), client, lock(s, "first"))
	if err != nil {
		t.Fatal(err)
	}
	kept, stop := first.Keep(t.Context())
	var locked *scaling.LockedError
	if _, err := scaling.AcquireLease(t.Context(), client, lock(s, "second")); !errors.As(err, &locked) || locked.Holder != "first" {
		t.Fatalf("error %v", err)
	}
	stop()
	if kept.Err() == nil || errors.Is(context.Cause(kept), scaling.ErrLockLost) {
		t.Errorf("kept ends by %v", context.Cause(kept))
	}
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, err := scaling.AcquireLease(t.Context(), client, lock(s, "second"))
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAForsakenLockIsTakenOver(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	client := s.client(testcluster.AdminContext)
	first, err := scaling.AcquireLease(t.Context(), client, lock(s, "first"))
	if err != nil {
		t.Fatal(err)
	}
	// The second's clock is ahead: a holder that renews keeps the lock all the same.
	kept, stop := first.Keep(t.Context())
	config := lock(s, "second")
	config.Now = func() time.Time { return time.Now().Add(time.Hour) }
	var locked *scaling.LockedError
	if _, err := scaling.AcquireLease(t.Context(), client, config); !errors.As(err, &locked) {
		t.Fatalf("a clock that is ahead took the lock: %v", err)
	}
	if kept.Err() != nil {
		t.Fatal(context.Cause(kept))
	}
	stop() // as if it had died
	if _, err := scaling.AcquireLease(t.Context(), client, config); err != nil {
		t.Fatal(err)
	}
	if err := first.Renew(t.Context()); !errors.Is(err, scaling.ErrLockLost) {
		t.Errorf("error %v", err)
	}
	if kept, stop := first.Keep(t.Context()); true {
		<-kept.Done()
		if !errors.Is(context.Cause(kept), scaling.ErrLockLost) {
			t.Errorf("kept ends by %v", context.Cause(kept))
		}
		stop()
	}
	if err := first.Release(t.Context()); err != nil {
		t.Error(err)
	}
	s.expect("lease/"+scaling.LeaseName, ".spec.holderIdentity", "second")
}
