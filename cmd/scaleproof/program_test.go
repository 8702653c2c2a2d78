package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"scaleproof/internal/testpg"
)

// folderVariable names the folder of what is built for the tests of this package.
const folderVariable = "SCALEPROOF_TEST_FOLDER"

func TestMain(m *testing.M) { testpg.Main(inFolder{m}) }

// inFolder runs tests that find a folder in the environment.
type inFolder struct{ *testing.M }

func (m inFolder) Run() int {
	dir, err := os.MkdirTemp("", "scaleproof-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	os.Setenv(folderVariable, dir)
	return m.M.Run()
}

// built is the program, without the race detector, as users have it. It is built once,
// where a test first needs it.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.Getenv(folderVariable), "scaleproof")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building scaleproof: %w\n%s", err, out)
	}
	return path, nil
})

// program is the binary, for the tests that need real processes.
func program(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
