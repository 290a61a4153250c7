// Package config reads reconcile.hcl into values. It asks nobody: what the file
// does not say and the environment may, stays empty here, and cmd fills it in.
package config

import (
	"path/filepath"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// Config is what reconcile.hcl says, with the defaults for what it does not.
type Config struct {
	Path     string // of the file, as the user gave it; empty without a file
	Nomad    Nomad
	Sources  []Source
	Nomads   []NomadSource
	Policies []Path // folders or files
	// PoliciesDefault: the file names none, so what Policies says need not be there
	// where the library is used.
	PoliciesDefault bool
	PolicyVars      map[string]Value // for the variables of policy files
	Libraries       []Library
	State           State
	Backup          Backup
	Sync            Sync
	Limits          Limits
	Interval        time.Duration // the agent's full pass
	Settle          time.Duration // quiet time after a file event
	Shutdown        time.Duration // how long the agent's end waits for runs under way
	Calm            Windows       // when the agent changes nothing by itself
	HTTP            HTTP
	Log             Log
}

// Path is a file or folder that the configuration names relative to itself.
type Path struct {
	Shown string // as users see it: relative to where they are, as the configuration's own path is
	Abs   string
}

// Nomad is how to reach the cluster and which namespaces are ours. What is empty
// comes from the NOMAD_* variables.
type Nomad struct {
	Address    string
	Namespaces []string // "*" for all that the token may see
}

// Source is a folder of job files.
type Source struct {
	Name      string
	Path      Path
	Include   []string // globs relative to Path
	Exclude   []string
	Namespace string            // where the file does not say
	Vars      map[string]string // as -var takes them
	VarFiles  []VarFile         // a later one wins
	JobVars   []JobVars         // as written; a later one wins
	FilesFrom string            // job, source; empty: the one, then the other
}

// VarFile is a file with values of variables, and where the configuration names
// it.
type VarFile struct {
	Path
	Range hcl.Range
}

// JobVars are the variable files of those job files that a glob matches: by
// their path relative to the source or, without a slash, by their name alone.
type JobVars struct {
	Glob  string
	Files []VarFile
}

// State is where the history is and how much of it.
type State struct {
	Dir     Path
	Keep    int           // runs per job
	KeepFor time.Duration // how long runs stay; 0: no limit
}

// Backup says whether a copy of the old file is also left beside it.
type Backup struct{ Beside bool }

// Sync is what the agent does by itself.
type Sync struct {
	Fix    string // report, apply
	Drift  string // report, correct, ignore
	Create string // report, register
	Prune  string // report, stop
}

// Limits bind the agent.
type Limits struct {
	Concurrency int // jobs at a time
	MaxChanges  int // jobs per pass
}

// Log is the agent's log.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // text, json
}

// Defaults that are lists or more than one place needs.
var (
	defaultInclude = []string{"**/*.hcl", "**/*.nomad", "**/*.job"}
	defaultExclude = []string{"**/*.vars.hcl"}
)

// DefaultInclude is the globs by which a folder is searched for job files.
func DefaultInclude() []string { return append([]string(nil), defaultInclude...) }

// DefaultExclude is the globs that are left out of that search.
func DefaultExclude() []string { return append([]string(nil), defaultExclude...) }

// Default is the configuration of an empty reconcile.hcl in the folder dir, as
// the user gave it ("." for the one they are in).
func Default(dir string) *Config {
	return &Config{
		Policies: []Path{within(dir, "policies")}, PoliciesDefault: true,
		State:    State{Dir: within(dir, ".reconcile"), Keep: 20},
		Sync:     Sync{Fix: "report", Drift: "report", Create: "report", Prune: "report"},
		Limits:   Limits{Concurrency: 4, MaxChanges: 5},
		Interval: 5 * time.Minute,
		Settle:   250 * time.Millisecond,
		Shutdown: 30 * time.Second,
		Log:      Log{Level: "info", Format: "text"},
	}
}

// within is the path that a configuration in the folder dir calls name.
func within(dir, name string) Path {
	shown := filepath.Clean(name)
	if !filepath.IsAbs(name) {
		shown = filepath.Join(dir, name)
	}
	abs, err := filepath.Abs(shown)
	if err != nil {
		abs = shown // the working folder is gone; reading from it will say so
	}
	return Path{Shown: shown, Abs: abs}
}
