// Command scaleproof answers with evidence: did this scaling action work, and
// how long will it last?
package main

import (
	"context"
	"io"
	"os"
	"runtime/debug"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}, os.LookupEnv))
}

// streams are where a command reads and writes: data goes to out, messages to
// err.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// run runs one command line and returns its exit code.
func run(ctx context.Context, args []string, s streams, lookup func(string) (string, bool)) int {
	app := &app{streams: s, lookup: lookup, version: version()}
	root := app.rootCommand()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	return app.exitCode(err)
}

// version is that of the module, as the go command stamped it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "development"
	}
	return info.Main.Version
}
