//go:build cluster

package clustertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fiveSteps are an action whose each step changes something else.
const fiveSteps = `
    - {name: routing, configmap: {name: routing, data: {b: "3", c: "4"}}}
    - {name: scale, scale: {target: deployment/app, replicas: 2}}
    - {name: resources, resources: {target: statefulset/db, container: db, limits: {memory: 48Mi}}}
    - {name: label, patch: {target: service/app, patch: {metadata: {labels: {tier: web}}}}}
    - {name: other, configmap: {name: other, data: {x: "y"}}}
`

// holding is a kubectl that, where the file hold is there, stops at the nth write:
// before it makes it, where hold says so, or after, before scaleproof learns of it.
// It goes on when hold goes, but not with a write that it has not made.
const holding = `
out=$(mktemp)
cat >"$out.in"
held=
case " $* " in
*" --dry-run=server "*|*" can-i "*) ;;
*" patch "*|*" create "*)
	if ! grep -q '"kind":"Lease"' "$out.in" && [ -e "$HOME/hold" ]; then
		echo x >>"$HOME/writes"
		read n when <"$HOME/hold"
		if [ "$(wc -l <"$HOME/writes")" = "$n" ]; then held=$when; fi
	fi ;;
esac
hold() {
	echo held >"$HOME/held"
	while [ -e "$HOME/hold" ]; do sleep 0.05; done
}
if [ "$held" = before ]; then hold; exit 1; fi
"$KUBECTL" "$@" <"$out.in" >"$out"
code=$?
if [ "$held" = after ]; then hold; fi
cat "$out"
rm -f "$out" "$out.in"
exit $code
`

// killIn starts a command and kills it before the write of a step is made, or after,
// when it is not yet known.
func (u *user) killIn(step int, when string, args ...string) {
	u.t.Helper()
	for _, name := range []string{"writes", "held"} {
		_ = os.Remove(filepath.Join(u.dir, name))
	}
	u.write("hold", fmt.Sprintln(step, when))
	cmd := u.command(args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	u.await("the write of step "+fmt.Sprint(step), func() bool {
		_, err := os.Stat(filepath.Join(u.dir, "held"))
		if cmd.ProcessState != nil || syscall.Kill(cmd.Process.Pid, 0) != nil {
			u.t.Fatalf("it has ended: %s", errs.String())
		}
		return err == nil
	})
	if err := cmd.Process.Kill(); err != nil {
		u.t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := os.Remove(filepath.Join(u.dir, "hold")); err != nil {
		u.t.Fatal(err)
	}
}

// kill -9 in each step of five, and then resume, and in another run rollback: the
// final state is exact each time.
func TestAKillInEachStep(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"resume", "rollback"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			// Few pods: what they take to start is not what this is about.
			s := newStage(t, strings.Replace(app, "replicas: 2", "replicas: 1", 1), strings.Replace(db, "replicas: 2", "replicas: 0", 1))
			s.run("", "create", "configmap", "routing", "--from-literal=a=1", "--from-literal=b=2")
			u := s.newUser()
			u.wrapKubectl(holding)
			plan := u.plan("five", "measure: {trials: 1}\naction:\n  steps:"+fiveSteps)
			before := s.specs()
			var after map[string]any
			if way == "resume" { // it must become what it would without a kill
				u.must(0, "scale", "apply", "-f", plan, "--runs", "whole")
				after = s.specs()
				u.must(0, "scale", "rollback", u.onlyRun("whole"), "-f", plan, "--runs", "whole")
			}
			for step := 1; step <= 5; step++ {
				// Every other one of each way: a kill takes long.
				when := "after"
				if (step%2 == 0) == (way == "resume") {
					when = "before"
				}
				runs := fmt.Sprintf("killed-%d-%s", step, when)
				if way == "resume" {
					u.killIn(step, when, "run", "-f", plan, "--out", runs)
					id := u.onlyRun(runs)
					u.must(0, "run", "-f", plan, "--out", runs, "--resume", id)
					if diff := cmp.Diff(after, s.specs()); diff != "" {
						t.Errorf("killed in step %d, %s its write, and resumed, it is not as after a run:\n%s", step, when, diff)
					}
					// From there it can still go back.
					if err := os.MkdirAll(filepath.Join(u.dir, "all"), 0o700); err != nil {
						t.Fatal(err)
					}
					if err := os.Rename(filepath.Join(u.dir, runs), filepath.Join(u.dir, "all", id)); err != nil {
						t.Fatal(err)
					}
					u.must(0, "scale", "rollback", id, "-f", plan, "--runs", "all")
				} else {
					u.killIn(step, when, "scale", "apply", "-f", plan, "--runs", runs)
					u.must(0, "scale", "rollback", u.onlyRun(runs), "-f", plan, "--runs", runs)
				}
				if diff := cmp.Diff(before, s.specs()); diff != "" {
					t.Fatalf("killed in step %d, %s its write, it is not as before:\n%s", step, when, diff)
				}
			}
		})
	}
}
