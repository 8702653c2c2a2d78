package nap_test

import (
	"context"
	"testing"
	"time"

	"scaleproof/internal/nap"
)

func TestPauseEndsWithItsTimeOrItsContext(t *testing.T) {
	began := time.Now()
	if !nap.Pause(t.Context(), time.Millisecond) || time.Since(began) < time.Millisecond {
		t.Error("it has not waited")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if nap.Pause(ctx, time.Hour) {
		t.Error("an hour has passed")
	}
}
