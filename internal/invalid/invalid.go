// Package invalid says which field of a configuration is wrong, so that whoever
// read the configuration from a file can name the line and the column.
package invalid

import (
	"errors"
	"fmt"
)

// A FieldError is a fault of one field. Path leads to it as it does in YAML:
// measure.load[0].rate.
type FieldError struct {
	Path    string
	Message string
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Message }

// Field returns a *FieldError.
func Field(path, format string, args ...any) error {
	return &FieldError{path, fmt.Sprintf(format, args...)}
}

// In returns err with prefix put before the path of each *FieldError in it, and
// nil for nil. Errors joined by errors.Join stay joined.
func In(prefix string, err error) error {
	if err == nil {
		return nil
	}
	var moved []error
	for _, e := range All(err) {
		var field *FieldError
		if !errors.As(e, &field) {
			field = &FieldError{Message: e.Error()}
		}
		moved = append(moved, &FieldError{join(prefix, field.Path), field.Message})
	}
	return errors.Join(moved...)
}

// All returns the errors that errors.Join has joined in err, or err alone.
func All(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, All(e)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func join(prefix, path string) string {
	switch {
	case path == "":
		return prefix
	case prefix == "", path[0] == '[':
		return prefix + path
	}
	return prefix + "." + path
}
