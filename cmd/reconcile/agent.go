package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"nomad-reconcile/config"
	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/nomad"
)

func runAgent(in *invocation) int {
	var configFile string
	declareConfig(in.flags, &configFile)
	code, ok := in.parse("", `
		Holds jobs continuously: looks at a job when its file, a policy or the job in Nomad
		moves, and at all of them every interval. What it may do by itself is in the sync
		block of the configuration; by default it only reports. One log line for each
		decision, on standard error. SIGHUP loads the configuration anew. SIGTERM ends it
		after the runs under way, or parks them when that takes longer than shutdown.`)
	if !ok {
		return code
	}
	if len(in.args) > 0 {
		return in.misuse("agent takes no arguments.")
	}
	ctx, stop := interruptible()
	defer stop()
	if err := in.agent(ctx, configFile); err != nil {
		return in.refuse(err)
	}
	return exitOK
}

// agent runs it: the lock on the state folder first, then who answers for it, then the
// loop.
func (in *invocation) agent(ctx context.Context, configFile string) error {
	l := &loader{in: in, file: configFile, metrics: controller.NewMetrics(version, slices.Sorted(maps.Keys(gates.Kinds())), nomad.Calls())}
	first, err := l.open()
	if err != nil {
		return err
	}
	unlock, err := first.store.Hold()
	if err != nil {
		return err
	}
	defer unlock()
	log := newLogger(in.stderr, first.config.Log)
	systemd := newSupervisor(in.environ, log)
	agent := &controller.Agent{
		Load: l.load, Log: log, Metrics: l.metrics, Tell: systemd.status, Ready: systemd.ready,
	}
	front := &answering{in: in, agent: agent, metrics: l.metrics, log: log}
	if err := front.open(first.config); err != nil {
		return err
	}
	defer front.close()
	l.loaded = front.reload
	var watched sync.WaitGroup
	defer watched.Wait()
	serving, done := context.WithCancel(context.WithoutCancel(ctx))
	defer done()
	watched.Go(func() { systemd.watch(serving, agent.Alive) })
	watched.Go(func() { onHangup(serving, systemd, agent.Reload) })
	defer context.AfterFunc(ctx, func() { systemd.stopping(first.config.Shutdown) })()
	return agent.Run(ctx)
}

// onHangup loads anew whenever SIGHUP comes.
func onHangup(ctx context.Context, systemd supervisor, reload func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			systemd.reloading()
			reload()
			systemd.ready()
		}
	}
}

// loader makes setups of the agent: whole, or not at all.
type loader struct {
	in      *invocation
	file    string
	metrics *controller.Metrics
	loaded  func(*config.Config) // is told of each configuration that comes into force; may be nil
	dir     string               // the state folder of the first
	client  *nomad.Client        // stays as long as its address does, and with it its connections
}

func (l *loader) open() (*session, error) {
	s, err := l.in.open(wants{config: l.file}, true)
	if err != nil {
		return nil, err
	}
	if l.dir == "" {
		l.dir = s.store.Dir()
	}
	if s.store.Dir() != l.dir {
		return nil, fmt.Errorf("state.dir is %s now, and was %s when this agent began: start the agent anew to move its state", s.store.Dir(), l.dir)
	}
	if l.client != nil && l.client.Address() == s.client.Address() {
		s.client, s.planner.Nomad = l.client, l.client
		return s, nil
	}
	l.client = s.client
	s.client.Observe = func(call string, took time.Duration, err error) {
		if errors.Is(err, context.Canceled) || errors.Is(err, nomad.ErrNotFound) {
			err = nil // nobody waits any more, or an answer that was asked for
		}
		l.metrics.Call(call, took, err)
	}
	return s, nil
}

func (l *loader) load() (controller.Setup, error) {
	s, err := l.open()
	if errors.Is(err, errShown) {
		err = fmt.Errorf("%s, a policy or a variable file has mistakes; they are printed above", l.file)
	}
	if err != nil {
		return controller.Setup{}, err
	}
	c, now := s.config, l.in.now()
	setup := controller.Setup{
		Planner: s.planner, Applier: s.applier(l.in, reconcile.AgentKind, nil), Nomad: s.client, PolicyFiles: s.policyFiles,
		Sync: agentsSync(c), Concurrency: c.Limits.Concurrency, MaxChanges: c.Limits.MaxChanges,
		Interval: c.Interval, Settle: c.Settle, Shutdown: c.Shutdown,
		Files: append(slices.Clone(s.watch), s.store.SuspendedFile()), Revision: l.in.revision(s, now), Expires: nextEnd(s.policies, now),
	}
	for _, p := range c.Policies {
		setup.Policies = append(setup.Policies, p.Abs)
	}
	for _, src := range s.sources {
		setup.Trees = append(setup.Trees, src.Path)
	}
	if len(c.Calm) > 0 {
		setup.Calm = c.Calm.Until
	}
	if l.loaded != nil {
		l.loaded(c)
	}
	return setup, nil
}

// revision is a hash of all that a verdict rests on beside job files and Nomad, so that
// what was in sync under it is still.
func (in *invocation) revision(s *session, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n%s\n%s\n%s\n", version, commitOf(), s.source, s.policies.Revision(), s.client.Address())
	for _, v := range in.environ {
		if strings.HasPrefix(v, "NOMAD_VAR_") || strings.HasPrefix(v, "NOMAD_NAMESPACE=") || strings.HasPrefix(v, "NOMAD_REGION=") {
			fmt.Fprintf(&b, "%q\n", v)
		}
	}
	for _, src := range s.sources {
		files := slices.Clone(src.VarFiles)
		for _, jv := range src.JobVars {
			files = append(files, jv.Files...)
		}
		for _, f := range files {
			fmt.Fprintf(&b, "%q %s\n", f.Name, history.Hash(f.Bytes))
		}
	}
	for i, e := range s.policies.Exceptions() {
		fmt.Fprintf(&b, "%d %t\n", i, e.Ended(now))
	}
	return history.Hash([]byte(b.String()))
}

// nextEnd is when the first of the exceptions that still count ends; zero where none
// does.
func nextEnd(set *policies.Set, now time.Time) time.Time {
	var next time.Time
	for _, e := range set.Exceptions() {
		end := e.Expires.AddDate(0, 0, 1)
		if !e.Ended(now) && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	return next
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
