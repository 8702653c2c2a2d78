package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// maxFile bounds what Read takes, so that a wrong file can't fill the memory.
const maxFile = 1 << 30

// Write encodes s. Infinite values are refused.
func Write(w io.Writer, s *Snapshot) error {
	s.SchemaVersion = SchemaVersion
	if err := s.check(); err != nil {
		return fmt.Errorf("writing the snapshot: %w", err)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(s); err != nil {
		return fmt.Errorf("writing the snapshot: %w", err)
	}
	return nil
}

// WriteFile writes s to path: whole or not at all, and synced.
func WriteFile(path string, s *Snapshot) error {
	var data bytes.Buffer
	if err := Write(&data, s); err != nil {
		return err
	}
	return WriteFileAtomically(path, data.Bytes())
}

// WriteFileAtomically writes data to path through a temporary file beside it:
// a crash or a full disk leaves what was there before.
func WriteFileAtomically(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes what was renamed within a folder stay after a power cut.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such call, and orders the renames itself
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// ReadFile reads the snapshot at path.
func ReadFile(path string) (*Snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a snapshot: %w", err)
	}
	defer f.Close()
	s, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("reading the snapshot %s: %w", path, err)
	}
	return s, nil
}

// Read decodes one snapshot. A truncated file, another schema version, and a
// value that is NaN or infinite are refused with the field's name.
func Read(r io.Reader) (*Snapshot, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxFile)
	}
	if err := checkSyntax(data); err != nil {
		return nil, err
	}
	var version struct {
		SchemaVersion *int `json:"schema_version"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, err
	}
	switch {
	case version.SchemaVersion == nil:
		return nil, errors.New("field schema_version is missing: this is not a snapshot of scaleproof")
	case *version.SchemaVersion != SchemaVersion:
		return nil, fmt.Errorf("field schema_version is %d, and this scaleproof reads version %d: use the version that wrote the file", *version.SchemaVersion, SchemaVersion)
	}
	var s Snapshot
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	return &s, s.check()
}

// check refuses what no measurement can have given.
func (s *Snapshot) check() error {
	seen := map[string]bool{}
	for i, m := range s.Metrics {
		field := fmt.Sprintf("metrics[%d] (%s)", i, m.Name)
		switch {
		case m.Name == "":
			return fmt.Errorf("field metrics[%d].name is empty", i)
		case seen[m.Name]:
			return fmt.Errorf("field %s stands twice", field)
		case !m.Unit.Known():
			return fmt.Errorf("field %s.unit is %q, which is no known unit", field, m.Unit)
		case m.Better != Lower && m.Better != Higher && m.Better != Neutral:
			return fmt.Errorf("field %s.better is %q, not lower, higher or neutral", field, m.Better)
		case len(m.Values) != s.Trials:
			return fmt.Errorf("field %s.values has %d values for %d trials", field, len(m.Values), s.Trials)
		case len(m.Events) != len(m.Of) || len(m.Of) != 0 && len(m.Of) != s.Trials:
			return fmt.Errorf("field %s.events and .of have %d and %d values for %d trials", field, len(m.Events), len(m.Of), s.Trials)
		}
		seen[m.Name] = true
		for j, v := range m.Values {
			if v-v != 0 && v == v {
				return fmt.Errorf("field %s.values[%d] is infinite", field, j)
			}
		}
		for j, of := range m.Of {
			if m.Events[j] < 0 || m.Events[j] > of {
				return fmt.Errorf("field %s.events[%d] is %d of %d", field, j, m.Events[j], of)
			}
		}
	}
	return nil
}

// checkSyntax reads data as JSON and names the field in which it goes wrong,
// which the standard library's error doesn't.
func checkSyntax(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var path fieldPath
	for {
		token, err := decoder.Token()
		if err == io.EOF && path.depth() == 0 && path.closed {
			return nil
		}
		if err != nil {
			return syntaxFault(data, decoder.InputOffset(), path, err)
		}
		if path.depth() == 0 && path.closed {
			return errors.New("the file goes on after its end")
		}
		if n, ok := token.(json.Number); ok {
			if _, err := strconv.ParseFloat(n.String(), 64); err != nil {
				return fmt.Errorf("field %s is %s, which is infinite", path, n)
			}
		}
		path.advance(token)
	}
}

func syntaxFault(data []byte, offset int64, path fieldPath, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the file is truncated in field %s", path)
	}
	rest := strings.TrimLeft(string(data[min(int(offset), len(data)):min(int(offset)+40, len(data))]), ": ,\n\t\r")
	for _, word := range []string{"NaN", "Infinity", "-Infinity", "Inf", "-Inf"} {
		if strings.HasPrefix(rest, word) {
			return fmt.Errorf("field %s is %s: every value must be a finite number", path, word)
		}
	}
	return fmt.Errorf("field %s: %w", path, err)
}

// A fieldPath follows a stream of JSON tokens.
type fieldPath struct {
	levels []level
	closed bool // the outermost value has ended
}

type level struct {
	array   bool
	index   int
	key     string
	wantKey bool
}

func (p *fieldPath) depth() int { return len(p.levels) }

func (p *fieldPath) advance(token json.Token) {
	if d, ok := token.(json.Delim); ok && (d == '{' || d == '[') {
		p.levels = append(p.levels, level{array: d == '[', wantKey: d == '{'})
		return
	} else if ok {
		p.levels = p.levels[:len(p.levels)-1]
		p.ended()
		return
	}
	if len(p.levels) > 0 {
		if top := &p.levels[len(p.levels)-1]; top.wantKey {
			top.key, _ = token.(string)
			top.wantKey = false
			return
		}
	}
	p.ended()
}

// ended notes that a value is complete.
func (p *fieldPath) ended() {
	if len(p.levels) == 0 {
		p.closed = true
		return
	}
	if top := &p.levels[len(p.levels)-1]; top.array {
		top.index++
	} else {
		top.wantKey = true
	}
}

func (p fieldPath) String() string {
	var b strings.Builder
	for _, l := range p.levels {
		switch {
		case l.array:
			fmt.Fprintf(&b, "[%d]", l.index)
		case l.key != "":
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(l.key)
		}
	}
	if b.Len() == 0 {
		return "(top level)"
	}
	return b.String()
}
