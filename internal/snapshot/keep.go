package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// CheckWritable says why a file can't be written at path, before anything is
// measured that it is to hold. It leaves nothing behind.
func CheckWritable(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("writing %s: it is a folder: name a file in it", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// WriteFileOrKeep writes a snapshot to path. Where that fails it is kept in
// another place, which the error names.
func WriteFileOrKeep(path string, s *Snapshot) error {
	var data bytes.Buffer
	if err := Write(&data, s); err != nil {
		return err
	}
	return WriteDataOrKeep(path, data.Bytes())
}

// WriteDataOrKeep is WriteFileOrKeep for what is encoded already.
func WriteDataOrKeep(path string, data []byte) error {
	err := WriteFileAtomically(path, data)
	if err == nil {
		return nil
	}
	return Elsewhere(err, func(dir string) error {
		return WriteFileAtomically(filepath.Join(dir, filepath.Base(path)), data)
	})
}

// Elsewhere writes what could not be written where it should, because of fault,
// into a new folder of the first place that takes it: the one for temporary
// files, the user's own, and the current one. The error it returns is the fault,
// with the name of the folder.
func Elsewhere(fault error, write func(dir string) error) error {
	places := []string{os.TempDir()}
	if home, err := os.UserHomeDir(); err == nil {
		places = append(places, home)
	}
	places = append(places, ".")
	faults := []error{fault}
	for _, place := range places {
		dir, err := os.MkdirTemp(place, "scaleproof-kept-")
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if err := write(dir); err != nil {
			faults = append(faults, err, os.RemoveAll(dir))
			continue
		}
		return fmt.Errorf("%w (it was kept in %s)", fault, dir)
	}
	return errors.Join(faults...)
}
