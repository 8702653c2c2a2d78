package invalid

import (
	"errors"
	"testing"
)

func TestInPrefixesEveryField(t *testing.T) {
	err := In("measure", In("load[1]", errors.Join(
		Field("rate", "is %d", -1),
		Field("[2]", "is empty"),
		errors.New("has no target"),
	)))
	want := "measure.load[1].rate: is -1\nmeasure.load[1][2]: is empty\nmeasure.load[1]: has no target"
	if err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if len(All(err)) != 3 {
		t.Errorf("%d errors, want 3", len(All(err)))
	}
	if In("x", nil) != nil || All(nil) != nil {
		t.Error("no error became one")
	}
}
