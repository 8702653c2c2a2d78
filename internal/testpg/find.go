package testpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNotFound says that no server binaries are on the machine.
var ErrNotFound = errors.New("no PostgreSQL server found (looked for initdb and postgres in PATH, pg_config --bindir, /usr/lib/postgresql, Homebrew and scaleproof's cache): run scripts/install-postgres.sh, or install the package postgresql")

// FindBinaries returns the folder that holds initdb and postgres: the first of
// PATH, pg_config's, Debian's newest, Homebrew's newest, and the newest that
// scripts/install-postgres.sh has put into the user's cache. Its error wraps
// ErrNotFound.
func FindBinaries(ctx context.Context) (string, error) {
	var candidates []string
	if path, err := exec.LookPath("initdb"); err == nil {
		candidates = append(candidates, filepath.Dir(path))
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		candidates = append(candidates, strings.TrimSpace(string(out)))
	}
	candidates = append(candidates, newest("/usr/lib/postgresql/*/bin")...)
	candidates = append(candidates, newest("/opt/homebrew/opt/postgresql@*/bin")...)
	candidates = append(candidates, newest("/usr/local/opt/postgresql@*/bin")...)
	if cache, err := os.UserCacheDir(); err == nil {
		candidates = append(candidates, newest(filepath.Join(cache, "scaleproof", "postgres", "*", "bin"))...)
	}
	for _, dir := range candidates {
		if hasServer(dir) {
			return dir, nil
		}
	}
	return "", ErrNotFound
}

func hasServer(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// newest returns what matches pattern, the highest version number first.
func newest(pattern string) []string {
	matches, _ := filepath.Glob(pattern) // the patterns here are well-formed
	version := func(path string) float64 {
		name := filepath.Base(filepath.Dir(path))
		number, err := strconv.ParseFloat(name[strings.LastIndex(name, "@")+1:], 64)
		if err != nil {
			return 0
		}
		return number
	}
	slices.SortFunc(matches, func(a, b string) int {
		switch va, vb := version(a), version(b); {
		case va > vb:
			return -1
		case va < vb:
			return 1
		}
		return strings.Compare(a, b)
	})
	return matches
}

// checkBinaries says what is wrong with a folder that the caller has named.
func checkBinaries(dir string) error {
	if !hasServer(dir) {
		return fmt.Errorf("%s holds no initdb and postgres", dir)
	}
	return nil
}
