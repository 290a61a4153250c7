package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/go-logr/logr"

	"nomad-reconcile/config"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
)

func runAgent(in *invocation) int {
	var configFile string
	declareConfig(in.flags, &configFile)
	code, ok := in.parse("", `
		Holds jobs continuously: a pass when a job file or policy changes, and a full pass
		every interval. What it may do by itself is in the sync block of the configuration;
		by default it only reports. One log line for each decision, on standard error.
		SIGTERM ends it after the runs under way.`)
	if !ok {
		return code
	}
	if len(in.args) > 0 {
		return in.misuse("agent takes no arguments.")
	}
	first, err := in.load(wants{config: configFile})
	if err != nil {
		return in.refuse(err)
	}
	agent := &controller.Agent{
		Log:  newLogger(in.stderr, first.config.Log),
		Load: func() (controller.Setup, error) { return in.agentSetup(configFile) },
	}
	ctx, stop := interruptible()
	defer stop()
	if err := agent.Run(ctx); err != nil {
		return in.refuse(err)
	}
	return exitOK
}

// agentSetup loads everything anew: whole, or not at all.
func (in *invocation) agentSetup(configFile string) (controller.Setup, error) {
	s, err := in.open(wants{config: configFile}, true)
	if errors.Is(err, errShown) {
		err = fmt.Errorf("%s, a policy or a variable file has mistakes; they are printed above", configFile)
	}
	if err != nil {
		return controller.Setup{}, err
	}
	c := s.config
	setup := controller.Setup{
		Planner: s.planner, Applier: s.applier(in, "agent", nil),
		Sync: reconcile.Sync{
			Fix: c.Sync.Fix == reconcile.Apply, Drift: c.Sync.Drift, Create: c.Sync.Create, Prune: c.Sync.Prune,
		},
		Concurrency: c.Limits.Concurrency, MaxChanges: c.Limits.MaxChanges,
		Interval: c.Interval, Settle: c.Settle, Watch: s.watch,
	}
	for _, src := range s.sources {
		setup.Watch = append(setup.Watch, src.Path)
	}
	if path := s.store.SuspendedFile(); exists(path) { // so that resume is heard at once
		setup.Watch = append(setup.Watch, path)
	}
	return setup, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func newLogger(w io.Writer, c config.Log) logr.Logger {
	level := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}[c.Level]
	options := &slog.HandlerOptions{Level: level}
	if level == slog.LevelDebug {
		options.Level = slog.Level(-8) // every logr verbosity
	}
	if c.Format == "json" {
		return logr.FromSlogHandler(slog.NewJSONHandler(w, options))
	}
	return logr.FromSlogHandler(slog.NewTextHandler(w, options))
}
