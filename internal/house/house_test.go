// Package house keeps the walls of the project where ARCHITECTURE.md says that
// they are.
package house

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

type goPackage struct {
	ImportPath string
	Imports    []string
	Name       string
	Doc        string
	GoFiles    []string
}

// packages lists the packages of this module.
func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Name,Doc,GoFiles", "scaleproof/...").Output()
	if err != nil {
		t.Fatalf("listing the packages: %v", err)
	}
	var all []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// allowed says, for each package or folder of packages, which others of this
// module it may import. A package that is not named here fails the test, so that
// whoever adds one decides where it stands.
func allowed() map[string][]string {
	leaves := []string{"internal/unit", "internal/expr", "internal/redact", "internal/invalid", "internal/nap"}
	base := append([]string{"internal/stats", "internal/snapshot"}, leaves...)
	five := []string{"loadgen", "dbbench", "scaling", "scaling/shard", "capacity", "reports"}
	real := []string{"internal/testpg", "internal/sample"}
	return map[string][]string{
		"internal/unit":            {},
		"internal/redact":          {},
		"internal/invalid":         {},
		"internal/nap":             {},
		"internal/expr":            {"internal/unit"},
		"internal/stats":           {},
		"internal/snapshot":        {"internal/stats", "internal/unit"},
		"loadgen":                  append([]string{"loadgen/internal/arrival", "loadgen/internal/http1"}, base...),
		"loadgen/fleet":            {"loadgen", "internal/nap", "internal/unit"},
		"loadgen/internal/arrival": {},
		"loadgen/internal/http1":   {},
		"dbbench":                  base,
		"scaling":                  append([]string{"internal/child", "internal/kubectl", "scaling/shard"}, base...),
		"scaling/shard":            append([]string{"internal/child"}, leaves...),
		"capacity":                 base,
		"internal/sshsig":          {},
		"reports":                  append([]string{"internal/sshsig", "loadgen", "dbbench", "scaling", "scaling/shard", "capacity"}, base...),
		"internal/plan":            append(slices.Clone(five), base...),
		"internal/validation":      slices.Concat([]string{"internal/child", "internal/history", "internal/plan", "internal/kubectl", "internal/workers"}, five, base),
		"internal/guardian":        {},
		"internal/testpg":          {"internal/guardian"},
		"internal/testprom":        {"internal/guardian"},
		"internal/testcluster":     {},
		"internal/clustertest":     {},
		"internal/child":           {},
		"internal/kubectl":         {"internal/child", "internal/nap"},
		"internal/sample":          {},
		"internal/demo":            real,
		"internal/live":            {"loadgen", "internal/unit"},
		"internal/history":         base,
		"internal/workers":         {"loadgen", "loadgen/fleet", "internal/kubectl", "internal/nap", "internal/unit"},
		"internal/house":           {},
		"examples":                 {},
		"scripts/benchload":        {"loadgen", "internal/unit"},
		"scripts/screenshots":      {},
		"cmd/scaleproof":           slices.Concat([]string{"internal/plan", "internal/validation", "internal/workers", "internal/kubectl", "loadgen/fleet", "internal/demo", "internal/live", "internal/history", "internal/sshsig", "examples"}, real, five, base),
		"scripts/benchshard":       append([]string{"scaling/shard", "internal/testpg"}, base...),
		"scripts/benchdb":          append([]string{"dbbench", "internal/testpg"}, base...),
	}
}

func TestWhoMayImportWhom(t *testing.T) {
	rules := allowed()
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "scaleproof/")
		may, known := rules[name]
		if !known {
			t.Errorf("package %s has no rule: add one to this test and to ARCHITECTURE.md", name)
			continue
		}
		for _, imported := range p.Imports {
			local, ours := strings.CutPrefix(imported, "scaleproof/")
			if ours && !slices.Contains(may, local) {
				t.Errorf("%s must not import %s", name, local)
			}
		}
	}
}

// Libraries take the outside world as parameters: they see no flags, catch no
// signals and never meet the testing package.
func TestLibrariesKeepOutOfTheProcess(t *testing.T) {
	for _, p := range packages(t) {
		if p.Name == "main" {
			continue
		}
		for _, banned := range []string{"flag", "os/signal", "log", "testing", "github.com/spf13/cobra", "github.com/spf13/pflag"} {
			if slices.Contains(p.Imports, banned) {
				t.Errorf("%s must not import %s", p.ImportPath, banned)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		if p.Name == "util" || p.Name == "common" || p.Name == "helpers" {
			t.Errorf("%s: a package is named for what it provides", p.ImportPath)
		}
	}
}
