// Command goodhart is every role of the pipeline in one binary.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "goodhart:", err)
		os.Exit(exitCode(err))
	}
}

// exitCode is 1 unless an error says otherwise.
func exitCode(err error) int {
	var own interface{ ExitCode() int }
	if errors.As(err, &own) {
		return own.ExitCode()
	}
	return 1
}

// run finds the role and runs it.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		usage(out)
		return nil
	}
	for _, r := range roles() {
		if r.name == args[0] {
			return r.run(ctx, args[1:], out)
		}
	}
	usage(out)
	return fmt.Errorf("unknown role %q", args[0])
}

func usage(out io.Writer) {
	var b strings.Builder
	b.WriteString("usage: goodhart <role> [--config file.yaml] [--check-config]\n")
	for _, r := range roles() {
		fmt.Fprintf(&b, "  %-10s %s\n", r.name, r.help)
	}
	_, _ = io.WriteString(out, b.String()) // nobody is left to tell
}
