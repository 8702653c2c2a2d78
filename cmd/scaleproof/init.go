package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"scaleproof/examples"
)

func (a *app) initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a commented plan to start from",
		Long:  "Write a commented plan to FILE (scaleproof.yaml), which must not be there yet, or to stdout for -.",
		Args:  cobra.MaximumNArgs(1),
	}
	kubernetes := cmd.Flags().Bool("kubernetes", false, "for a service on Kubernetes")
	local := cmd.Flags().Bool("local", false, "for a service on any machine (the default)")
	cmd.MarkFlagsMutuallyExclusive("kubernetes", "local")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		_ = local // the default has a name so that scripts can say it
		text := examples.LocalPlan
		if *kubernetes {
			text = examples.KubernetesPlan
		}
		path := "scaleproof.yaml"
		if len(args) == 1 {
			path = args[0]
		}
		if path == "-" {
			_, err := fmt.Fprint(a.out, text)
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			return usagef("%s is there already: name another file, or remove it", path)
		}
		if err != nil {
			return fmt.Errorf("writing the plan: %w", err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			return fmt.Errorf("writing the plan: %w", err)
		}
		fmt.Fprintf(a.err, "Wrote %s. Fill in the environment, then: scaleproof run -f %s --dry-run\n", path, path)
		return f.Close()
	}
	return cmd
}
