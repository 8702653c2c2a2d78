package sshsig

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Signers are the keys of names, as the file has them that ssh-keygen takes by -f
// (ALLOWED SIGNERS in its manual): names, options and a key on each line.
type Signers struct {
	lines []signer
}

type signer struct {
	names      []string // patterns
	namespaces []string // patterns; none: all
	key        []byte
}

// ReadSigners reads a list of signers. Of the options it knows namespaces; a line
// with another one is refused, since leaving it out would allow more than it says.
func ReadSigners(r io.Reader) (*Signers, error) {
	s := &Signers{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		names, rest, _ := strings.Cut(line, " ")
		key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(rest))
		if err != nil {
			return nil, fmt.Errorf("reading the list of signers: line %d: %w", n, err)
		}
		parsed := signer{names: strings.Split(names, ","), key: key.Marshal()}
		for _, option := range options {
			value, ok := strings.CutPrefix(option, "namespaces=")
			if !ok {
				return nil, fmt.Errorf("reading the list of signers: line %d: the option %s is not supported", n, option)
			}
			parsed.namespaces = strings.Split(strings.Trim(value, `"`), ",")
		}
		s.lines = append(s.lines, parsed)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the list of signers: %w", err)
	}
	return s, nil
}

// Allows reports whether a key is one of a name's in a namespace.
func (s *Signers) Allows(name, namespace string, key ssh.PublicKey) bool {
	for _, line := range s.lines {
		if bytes.Equal(line.key, key.Marshal()) && matches(line.names, name) && (line.namespaces == nil || matches(line.namespaces, namespace)) {
			return true
		}
	}
	return false
}

func matches(patterns []string, name string) bool {
	found := false
	for _, pattern := range patterns {
		refused := strings.HasPrefix(pattern, "!")
		if matchesPattern(strings.TrimPrefix(pattern, "!"), name) {
			if refused {
				return false
			}
			found = true
		}
	}
	return found
}

// matchesPattern is OpenSSH's: * stands for any characters, a slash too, ? for one, and
// all else for itself.
func matchesPattern(pattern, name string) bool {
	for ; pattern != ""; pattern, name = pattern[1:], name[1:] {
		if rest, ok := strings.CutPrefix(pattern, "*"); ok {
			return matchesPattern(rest, name) || name != "" && matchesPattern(pattern, name[1:])
		}
		if name == "" || pattern[0] != '?' && pattern[0] != name[0] {
			return false
		}
	}
	return name == ""
}
