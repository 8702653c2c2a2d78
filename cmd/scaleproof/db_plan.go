package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"scaleproof/dbbench"
	"scaleproof/reports"
)

// planView is a decoded plan as JSON.
type planView struct {
	File        string `json:"file"`
	Fingerprint string `json:"fingerprint"`
	Shape       string `json:"shape"`
	dbbench.Figures
	Warnings []string      `json:"warnings"`
	Plan     *dbbench.Plan `json:"plan"`
}

func (a *app) dbPlanCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan FILE...",
		Short: "Decode EXPLAIN (FORMAT JSON): shape, fingerprint, q-error, warnings",
		Long: `plan decodes files that hold the output of EXPLAIN (FORMAT JSON), of PostgreSQL 13
to 18; - is standard input. With --diff it says how the second differs from the
first.`,
		Example: `  psql -XqAt -c 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT ...' | scaleproof db plan -`,
		Args:    cobra.MinimumNArgs(1),
	}
	output := outputFlag(cmd)
	diff := cmd.Flags().Bool("diff", false, "say how the second plan differs from the first")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if *diff && len(args) != 2 {
			return usagef("--diff needs two plans, and got %d", len(args))
		}
		var plans []*dbbench.Plan
		for _, path := range args {
			p, err := a.readExplain(path)
			if err != nil {
				return err
			}
			plans = append(plans, p)
		}
		if *diff {
			changes := dbbench.DiffPlans(plans[0], plans[1])
			return a.writeData(*output, map[string][]string{"changes": changes}, func(w io.Writer, style reports.TerminalStyle) error {
				return reports.WritePlanDiff(w, plans[0], plans[1], style)
			})
		}
		for i, p := range plans {
			view := planView{args[i], p.Fingerprint(), p.Root.Shape(), p.Figures(), append([]string{}, p.Warnings()...), p}
			if err := a.writeData(*output, view, func(w io.Writer, style reports.TerminalStyle) error {
				return reports.WritePlan(w, args[i], p, style)
			}); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func (a *app) readExplain(path string) (*dbbench.Plan, error) {
	var data []byte
	var err error
	if path == "-" {
		data, err = io.ReadAll(a.in)
	} else {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, &usageError{fmt.Errorf("reading a plan: %w", err)}
	}
	p, err := dbbench.DecodePlan(data)
	if err != nil {
		return nil, &usageError{fmt.Errorf("%s: %w", path, err)}
	}
	return p, nil
}
