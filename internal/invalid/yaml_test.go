package invalid

import (
	"errors"
	"strings"
	"testing"
)

func TestAPanicOfTheDecoderIsAnError(t *testing.T) {
	if err := YAML(func() error { panic("nil pointer") }); err == nil || !strings.Contains(err.Error(), "nil pointer") {
		t.Errorf("error %v", err)
	}
	want := errors.New("a fault")
	if err := YAML(func() error { return want }); err != want {
		t.Errorf("error %v", err)
	}
	if err := YAML(func() error { return nil }); err != nil {
		t.Errorf("error %v", err)
	}
}
