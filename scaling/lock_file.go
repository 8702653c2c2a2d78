package scaling

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A FileLock keeps two runs of one user off the same target on one machine. It
// goes with its process, however that ends.
type FileLock struct {
	file *os.File
}

// AcquireFileLock takes the lock of a target, by a file in dir, or returns a
// *LockedError.
func AcquireFileLock(dir, target, holder string) (*FileLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("taking the lock of %s: %w", target, err)
	}
	sum := sha256.Sum256([]byte(target))
	path := filepath.Join(dir, hex.EncodeToString(sum[:12])+".lock")
	for {
		l, err := tryFileLock(path)
		switch {
		case errors.Is(err, syscall.EWOULDBLOCK):
			return nil, &LockedError{Holder: heldBy(path), Target: target}
		case err != nil:
			return nil, fmt.Errorf("taking the lock of %s: %w", target, err)
		case l == nil:
			continue // its last holder has just removed it
		}
		if err := l.sign(holder); err != nil {
			return nil, errors.Join(fmt.Errorf("taking the lock of %s: %w", target, err), l.file.Close())
		}
		return l, nil
	}
}

// tryFileLock returns nil where the file that was locked is no longer the one of
// that name.
func tryFileLock(path string) (*FileLock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	mine, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(mine, there) {
		return nil, file.Close()
	}
	return &FileLock{file}, nil
}

func (l *FileLock) sign(holder string) error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(holder+"\n"), 0)
	return err
}

func heldBy(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return "another run"
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 1<<10))
	if holder := strings.TrimSpace(string(text)); err == nil && holder != "" {
		return holder
	}
	return "another run"
}

// Keep implements Lock: the lock stays as long as its process.
func (l *FileLock) Keep(ctx context.Context) (context.Context, func()) { return ctx, func() {} }

// Release implements Lock.
func (l *FileLock) Release(context.Context) error {
	// First the name, then the lock: whoever waits for neither meets a free name.
	err := os.Remove(l.file.Name())
	return errors.Join(err, l.file.Close())
}
