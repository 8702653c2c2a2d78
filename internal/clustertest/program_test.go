//go:build cluster

package clustertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"scaleproof/internal/testcluster"
	"scaleproof/reports"
)

// program is scaleproof, as a user or an image has it. It is built once.
var program = sync.OnceValues(func() (string, error) { return build("scaleproof/cmd/scaleproof") })

// build builds a program that needs no library, with what flags say, and returns its
// path.
func build(pkg string, flags ...string) (string, error) {
	path := filepath.Join(folder, filepath.Base(pkg))
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", path, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w: %s", pkg, err, out)
	}
	return path, nil
}

// A user runs scaleproof in a folder of their own, with a kubectl in PATH.
type user struct {
	*stage
	dir     string
	environ []string
}

// newUser is a user of a stage; variables are what their plans take.
func (s *stage) newUser(variables ...string) *user {
	s.t.Helper()
	u := &user{stage: s, dir: s.t.TempDir()}
	bin := filepath.Join(u.dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Symlink(cluster.KubectlPath(), filepath.Join(bin, "kubectl")); err != nil {
		s.t.Fatal(err)
	}
	u.environ = append([]string{
		"PATH=" + bin + ":/usr/bin:/bin", "HOME=" + u.dir, "KUBECONFIG=" + cluster.Kubeconfig(),
		"KUBE_CONTEXT=" + testcluster.AdminContext, "KUBE_NAMESPACE=" + s.namespace,
	}, variables...)
	return u
}

// wrapKubectl puts a script in the place of kubectl; $KUBECTL in it is the real one.
func (u *user) wrapKubectl(script string) {
	u.t.Helper()
	path := filepath.Join(u.dir, "bin", "kubectl")
	if err := os.Rename(path, filepath.Join(u.dir, "bin", "real", "kubectl")); err != nil {
		if err := os.Mkdir(filepath.Join(u.dir, "bin", "real"), 0o700); err != nil {
			u.t.Fatal(err)
		}
		if err := os.Rename(path, filepath.Join(u.dir, "bin", "real", "kubectl")); err != nil {
			u.t.Fatal(err)
		}
	}
	text := "#!/bin/sh\nKUBECTL=" + filepath.Join(u.dir, "bin", "real", "kubectl") + "\n" + script
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		u.t.Fatal(err)
	}
}

// plan writes a plan for the user's namespace: an environment and what text says.
func (u *user) plan(name, text string) string {
	return u.write(name+".yaml", fmt.Sprintf("version: 1\nname: %s\nenvironment:\n  kubernetes: {context: \"${KUBE_CONTEXT}\", namespace: \"${KUBE_NAMESPACE}\"}\n%s", name, text))
}

func (u *user) write(name, text string) string {
	u.t.Helper()
	path := filepath.Join(u.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		u.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		u.t.Fatal(err)
	}
	return path
}

// command is a command line of scaleproof.
func (u *user) command(args ...string) *exec.Cmd {
	u.t.Helper()
	path, err := program()
	if err != nil {
		u.t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), path, args...)
	cmd.Dir, cmd.Env = u.dir, u.environ
	return cmd
}

// said is what a command line gave.
type said struct {
	code     int
	out, err string
}

func (u *user) scaleproof(args ...string) said {
	u.t.Helper()
	cmd := u.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		u.t.Fatal(err)
	}
	return said{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// must runs a command line that must end with a code.
func (u *user) must(code int, args ...string) said {
	u.t.Helper()
	got := u.scaleproof(args...)
	if got.code != code {
		u.t.Fatalf("scaleproof %s: exit code %d, want %d\n%s\n%s", strings.Join(args, " "), got.code, code, got.out, got.err)
	}
	return got
}

// report reads the report of a run in a folder.
func (u *user) report(dir string) *reports.Report {
	u.t.Helper()
	data, err := os.ReadFile(filepath.Join(u.dir, dir, "report.json"))
	if err != nil {
		u.t.Fatal(err)
	}
	var r reports.Report
	if err := json.Unmarshal(data, &r); err != nil {
		u.t.Fatal(err)
	}
	return &r
}

// onlyRun is the ID of the run whose journal a folder or one below it has.
func (u *user) onlyRun(dir string) string {
	u.t.Helper()
	for _, pattern := range []string{"journal-*.jsonl", "*/journal-*.jsonl"} {
		if journals, _ := filepath.Glob(filepath.Join(u.dir, dir, pattern)); len(journals) == 1 {
			return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(journals[0]), "journal-"), ".jsonl")
		}
	}
	u.t.Fatalf("no journal in %s", dir)
	return ""
}

// await holds until something is so.
func (s *stage) await(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("after 90 s still not: %s", what)
		}
	}
}

// address is the URL of a Service, as this machine reaches it.
func (s *stage) address(service, port string) string {
	return "http://" + s.field("service/"+service, ".spec.clusterIP") + ":" + port
}
