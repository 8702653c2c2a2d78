package loadgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"unicode/utf8"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// A Bundle is a configuration with all that the files hold which it names, for
// another machine. It holds keys and tokens where the configuration does.
type Bundle struct {
	Config Config            `json:"config"`
	Files  map[string][]byte `json:"files,omitempty"` // by their paths
}

// inlineBody is the path of a body that the configuration itself holds.
const inlineBody = "a body in the configuration"

// Bundle reads the files that c names.
func (c Config) Bundle() (Bundle, error) {
	b := Bundle{Config: c, Files: map[string][]byte{}}
	if !utf8.ValidString(c.Body) { // JSON would change it
		b.Files[inlineBody] = []byte(c.Body)
		b.Config.Body, b.Config.BodyFile = "", inlineBody
	}
	for _, path := range []string{c.Feeder, c.BodyFile, c.TLS.CA, c.TLS.Cert, c.TLS.Key} {
		if path == "" {
			continue
		}
		data, err := c.readFile(path)
		if err != nil {
			return Bundle{}, fmt.Errorf("reading what the load needs: %w", err)
		}
		b.Files[path] = data
	}
	if c.TargetsFile == "" {
		return b, nil
	}
	data, err := c.readFile(c.TargetsFile)
	if err != nil {
		return Bundle{}, fmt.Errorf("reading the targets: %w", err)
	}
	if b.Files[c.TargetsFile], err = selfContained(data); err != nil {
		return Bundle{}, fmt.Errorf("reading the targets of %s: %w", c.TargetsFile, err)
	}
	return b, nil
}

// Open returns the configuration, which takes its files from the bundle.
func (b Bundle) Open() Config {
	c := b.Config
	c.files = b.Files
	if c.files == nil {
		c.files = map[string][]byte{}
	}
	return c
}

// readFile reads a file that c names: of its bundle where it came in one.
func (c *Config) readFile(path string) ([]byte, error) {
	if c.files == nil {
		return os.ReadFile(path)
	}
	data, ok := c.files[path]
	if !ok {
		return nil, fmt.Errorf("%s is not in the bundle", path)
	}
	return data, nil
}

// selfContained returns a file of targets in vegeta's json format, with the
// bodies that it may only name.
func selfContained(data []byte) ([]byte, error) {
	targets, err := vegetaTargets(data)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	for _, t := range targets {
		if err := encoder.Encode(vegeta.Target{Method: t.Method, URL: t.URL, Body: t.Body, Header: t.Header}); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
