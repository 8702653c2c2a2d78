package scaling

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// A Record is one line of a journal.
type Record struct {
	At     time.Time `json:"at"`
	Event  string    `json:"event"` // run, begin, rollback, or the status that a step came to
	Step   int       `json:"step"`
	Name   string    `json:"name"`
	Before string    `json:"before,omitempty"` // the state that the step found
	// Intended is the state that the step was about to make, where it could tell.
	Intended string `json:"intended,omitempty"`
	After    string `json:"after,omitempty"` // the state that an applied step has made
	// The seals of Before, Intended and After where those are masked, since the
	// state holds a secret.
	BeforeSeal   *Seal  `json:"before_seal,omitempty"`
	IntendedSeal *Seal  `json:"intended_seal,omitempty"`
	AfterSeal    *Seal  `json:"after_seal,omitempty"`
	Undo         string `json:"undo,omitempty"` // how it would be undone
	Error        string `json:"error,omitempty"`
	// LeftAlone says that an unverified step was not touched, since someone else had
	// changed its state.
	LeftAlone bool `json:"left_alone,omitempty"`
	// Run is what the records below are of. It stands in the first one, which is of
	// no step.
	Run *Identity `json:"run,omitempty"`
}

// eventRun is written before the first step, eventBegin before each changes anything,
// and eventRollback, whose error is the reason, before any of them is undone.
const (
	eventRun      = "run"
	eventBegin    = "begin"
	eventRollback = "rollback"
)

// A Journal is a file of what an executor is about to do and has done. Each
// record is on the disk before the executor goes on. A nil *Journal keeps none.
type Journal struct {
	mu   sync.Mutex
	file *os.File
}

// OpenJournal makes the journal of an action in dir, for its owner's eyes only.
func OpenJournal(dir, id string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, id+".jsonl"), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	if err := lockJournal(file); err != nil {
		return nil, err
	}
	// The names must be on the disk as well, or the records are nowhere.
	for _, folder := range []string{dir, filepath.Dir(dir)} {
		if err := syncFolder(folder); err != nil {
			return nil, errors.Join(fmt.Errorf("opening the journal: %w", err), file.Close())
		}
	}
	return &Journal{file: file}, nil
}

// syncFolder writes the names in a folder to the disk. A file system that can't is no
// fault.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	if err := folder.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return errors.Join(err, folder.Close())
	}
	return folder.Close()
}

// ErrRunning is that the process whose journal it is still lives.
var ErrRunning = errors.New("the run is still going on in another process: wait for it, or end it")

// lockJournal locks a journal for the life of this process. A file system that
// knows no locks is no fault.
func lockJournal(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errors.Join(ErrRunning, file.Close())
	}
	return nil
}

// ReopenJournal opens a journal to go on with it. It fails with ErrRunning while
// the process that wrote it lives.
func ReopenJournal(path string) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	if err := lockJournal(file); err != nil {
		return nil, err
	}
	// A line that a crash has cut goes: what it would have told had not begun.
	last := make([]byte, 1)
	if info, err := file.Stat(); err == nil && info.Size() > 0 {
		if _, err := file.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
			err = file.Truncate(lastLineStart(file, info.Size()))
			if err != nil {
				file.Close()
				return nil, fmt.Errorf("mending the journal: %w", err)
			}
		}
	}
	return &Journal{file: file}, nil
}

// lastLineStart returns where the last line of a file begins.
func lastLineStart(file *os.File, size int64) int64 {
	b := make([]byte, 1)
	for at := size - 1; at >= 0; at-- {
		if _, err := file.ReadAt(b, at); err != nil || b[0] == '\n' {
			return at + 1
		}
	}
	return 0
}

// Path returns the journal's file.
func (j *Journal) Path() string { return j.file.Name() }

// Close closes the file.
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}

func (j *Journal) write(r Record) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("syncing the journal: %w", err)
	}
	return nil
}
