// Command chserve serves an embedded ClickHouse over HTTP.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/goodhartlabs/goodhart/services/chserve"
	"github.com/goodhartlabs/goodhart/services/config"
	"github.com/goodhartlabs/goodhart/services/probe"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chserve:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	cfg := chserve.Default()
	flags := flag.NewFlagSet("chserve", flag.ExitOnError)
	file := flags.String("config", "", "YAML `file` with the keys of docs/chserve.md; flags win over it")
	check := flags.Bool("check-config", false, "validate the configuration and exit")
	path := flags.String("path", "", "data `directory`")
	listen := flags.String("listen", "", "`host:port` of the HTTP interface (default "+cfg.Listen+")")
	library := flags.String("lib", "", "`file` libchdb.so (default .cache/chdb/package/libchdb.so)")
	admin := flags.String("admin", "", "`host:port` of /metrics, /healthz and /readyz (default none)")
	memory := flags.Int64("max-memory", 0, "`bytes` that the engine may take (default nine tenths of the machine's)")
	password := flags.String("password-env", "CHSERVE_PASSWORD", "environment `variable` that holds the password")
	attached := flags.Bool("attached", false, "stop when standard input ends, as it does when the parent process dies")
	verbose := flags.Bool("verbose", false, "log every query that fails")
	_ = flags.Parse(args)

	if err := config.Load(*file, &cfg, os.LookupEnv); err != nil {
		return err
	}
	for _, o := range []struct{ value, into *string }{
		{path, &cfg.Path}, {listen, &cfg.Listen}, {library, &cfg.Library}, {admin, &cfg.Admin},
	} {
		if *o.value != "" {
			*o.into = *o.value
		}
	}
	if *memory != 0 {
		cfg.MaxMemory = *memory
	}
	if secret := os.Getenv(*password); secret != "" {
		cfg.Password = secret
	}
	if cfg.Library == "" {
		cfg.Library = ".cache/chdb/package/libchdb.so"
	}
	if err := cfg.Validate(); err != nil || *check {
		return err
	}
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *attached {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	return chserve.Run(ctx, cfg, probe.New(log))
}
