package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// root is the folder of the module.
func root(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// readYAML reads the last document of a file.
func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root(t), path))
	if err != nil {
		t.Fatal(err)
	}
	documents := bytes.Split(data, []byte("\n---\n"))
	if err := yaml.Unmarshal(documents[len(documents)-1], into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// checkCommand holds that a command line is one of this program's.
func checkCommand(t *testing.T, where string, args []string) {
	t.Helper()
	cmd, rest, err := (&app{lookup: os.LookupEnv}).rootCommand().Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	if err != nil || !cmd.Runnable() {
		t.Errorf("%s: scaleproof %s: %v", where, strings.Join(args, " "), err)
	}
}

func TestTheGitLabExample(t *testing.T) {
	var jobs map[string]struct {
		Script       []string `yaml:"script"`
		AllowFailure struct {
			ExitCodes []int `yaml:"exit_codes"`
		} `yaml:"allow_failure"`
		Artifacts struct {
			When    string            `yaml:"when"`
			Paths   []string          `yaml:"paths"`
			Reports map[string]string `yaml:"reports"`
		} `yaml:"artifacts"`
	}
	readYAML(t, "deploy/gitlab-ci.yml", &jobs)
	if len(jobs) != 2 {
		t.Fatalf("%d jobs", len(jobs))
	}
	for name, job := range jobs {
		for _, line := range job.Script {
			args, ok := strings.CutPrefix(line, "scaleproof ")
			if !ok {
				t.Errorf("%s: %q is not scaleproof", name, line)
			}
			checkCommand(t, name, strings.Fields(strings.ReplaceAll(args, `"`, "")))
		}
	}
	gate := jobs["performance"]
	if gate.Artifacts.When != "always" || gate.Artifacts.Reports["junit"] != "report/junit.xml" || gate.Artifacts.Reports["metrics"] != "report/metrics.txt" {
		t.Errorf("%+v", gate.Artifacts)
	}
	if codes := gate.AllowFailure.ExitCodes; len(codes) != 1 || codes[0] != 3 {
		t.Errorf("exit codes %v", codes)
	}
}

func TestTheCronJob(t *testing.T) {
	type container struct {
		Args []string `yaml:"args"`
		Env  []struct {
			Name      string `yaml:"name"`
			ValueFrom struct {
				FieldRef struct {
					FieldPath string `yaml:"fieldPath"`
				} `yaml:"fieldRef"`
			} `yaml:"valueFrom"`
		} `yaml:"env"`
		SecurityContext struct {
			AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		} `yaml:"securityContext"`
	}
	var job struct {
		Spec struct {
			JobTemplate struct {
				Spec struct {
					Template struct {
						Spec struct {
							Hostname        string `yaml:"hostname"`
							SecurityContext struct {
								RunAsNonRoot bool `yaml:"runAsNonRoot"`
							} `yaml:"securityContext"`
							InitContainers []container `yaml:"initContainers"`
							Containers     []container `yaml:"containers"`
						} `yaml:"spec"`
					} `yaml:"template"`
				} `yaml:"spec"`
			} `yaml:"jobTemplate"`
		} `yaml:"spec"`
	}
	readYAML(t, "deploy/cronjob.yaml", &job)
	pod := job.Spec.JobTemplate.Spec.Template.Spec
	if !pod.SecurityContext.RunAsNonRoot || pod.Hostname == "" || len(pod.InitContainers) != 1 || len(pod.Containers) != 1 {
		t.Fatalf("%+v", pod)
	}
	collect, report := pod.InitContainers[0], pod.Containers[0]
	for i, c := range []container{collect, report} {
		checkCommand(t, "the cron job", c.Args)
		if s := c.SecurityContext; s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !s.ReadOnlyRootFilesystem {
			t.Errorf("%+v", s)
		}
		if want := []string{"collect", "report"}[i]; c.Args[1] != want {
			t.Errorf("%v, want capacity %s", c.Args, want)
		}
	}
	// What is tried again must be the same night.
	if len(collect.Env) != 1 || !slices.Contains(collect.Args, "$("+collect.Env[0].Name+")") || !strings.Contains(collect.Env[0].ValueFrom.FieldRef.FieldPath, "job-name") {
		t.Errorf("the name of the night is %+v in %v", collect.Env, collect.Args)
	}
}

func TestTheActionIsComplete(t *testing.T) {
	var action struct {
		Inputs  map[string]map[string]string `yaml:"inputs"`
		Outputs map[string]map[string]string `yaml:"outputs"`
		Runs    struct {
			Using string `yaml:"using"`
			Steps []struct {
				ID, Uses, Run, Shell string
				Env, With            map[string]string
			} `yaml:"steps"`
		} `yaml:"runs"`
	}
	readYAML(t, "action.yml", &action)
	text, err := os.ReadFile(filepath.Join(root(t), "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if action.Runs.Using != "composite" {
		t.Errorf("it is %q", action.Runs.Using)
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\$\{\{ inputs\.([a-z-]+) \}\}`).FindAllSubmatch(text, -1) {
		used[string(m[1])] = true
		if action.Inputs[string(m[1])] == nil {
			t.Errorf("the input %s is not declared", m[1])
		}
	}
	for name, input := range action.Inputs {
		if !used[name] || input["description"] == "" {
			t.Errorf("the input %s is not used, or not described", name)
		}
	}
	steps := map[string]bool{}
	for _, step := range action.Runs.Steps {
		if strings.HasPrefix(step.Uses, "actions/upload-artifact") && step.With["name"] != "${{ steps.scaleproof.outputs.artifact }}" {
			t.Errorf("the artifact is called %q, which two uses of the action would share", step.With["name"])
		}
		steps[step.ID] = true
		if step.Run != "" && step.Shell == "" {
			t.Errorf("the step %q has no shell", step.Run)
		}
		if strings.Contains(step.Run, "${{") {
			t.Errorf("the step %q lets an input become a command", step.Run)
		}
	}
	script, err := os.ReadFile(filepath.Join(root(t), "scripts/github-action.sh"))
	if err != nil {
		t.Fatal(err)
	}
	for name, output := range action.Outputs {
		m := regexp.MustCompile(`^\$\{\{ steps\.(\w+)\.outputs\.([\w-]+) \}\}$`).FindStringSubmatch(output["value"])
		if m == nil || !steps[m[1]] || !bytes.Contains(script, []byte(`"`+m[2]+`=`)) {
			t.Errorf("nothing sets the output %s (%s)", name, output["value"])
		}
	}
}
