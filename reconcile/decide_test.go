package reconcile

import (
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/source"
)

// What observations are made of: each change turns a plain one, a job in sync
// with its file, into that of a row.
type with func(*Observation)

func observed(changes ...with) Observation {
	spec := &api.Job{ID: new("web"), Name: new("web"), Type: new("service")}
	o := Observation{
		ID: job.ID{Namespace: "default", Name: "web"}, Complete: true, Ours: true,
		File: &File{
			Doc: source.Document{Name: "web.hcl", Path: "/jobs/web.hcl", Bytes: []byte("old")}, After: []byte("old"),
			Spec: &jobspec.File{Submission: &api.JobSubmission{Source: "old", Format: "hcl2"}}, Desired: spec,
		},
		Live: &Live{Job: job.Clone(spec), Fixed: job.Clone(spec), Submitted: &api.JobSubmission{Source: "live"}, Redundant: true},
	}
	o.Live.State.Healthy = true
	for _, change := range changes {
		change(&o)
	}
	return o
}

var (
	argPath  = job.Path{}.Block("group", "web").Block("task", "web").Attr("config").Elem("args", 0)
	envPath  = job.Path{}.Block("group", "web").Block("task", "web").Attr("env").Attr("A")
	fixable  = policies.Finding{Policy: "p", Rule: "sudo.preserve_env", Enforce: policies.Deny, Path: argPath, Fix: true, Edits: []job.Edit{{Path: argPath, Op: job.Remove}}}
	denied   = policies.Finding{Policy: "p", Rule: "env.required", Enforce: policies.Deny, Path: envPath, Message: "A is missing"}
	warned   = policies.Finding{Policy: "p", Rule: "env.required", Enforce: policies.Warn, Path: envPath}
	fixOf    = Change{Difference: job.Difference{Path: argPath, Before: cty.StringVal("-E"), After: cty.NullVal(cty.String)}, Finding: true}
	driftOf  = Change{Difference: job.Difference{Path: envPath, Before: cty.StringVal("1"), After: cty.StringVal("2")}}
	agent    = Sync{Fix: true, Drift: Report, Create: Report, Prune: Report}
	reporter = Sync{Drift: Report, Create: Report, Prune: Report}
)

func sided(f policies.Finding, side policies.Side) Finding {
	f.Side = side
	return Finding{Finding: f}
}

func fileFinding(f policies.Finding) with {
	return func(o *Observation) {
		o.File.Findings = append(o.File.Findings, sided(f, policies.FileSide))
		if f.Fixable() {
			o.File.After = []byte("new")
		}
	}
}

func liveFinding(f policies.Finding) with {
	return func(o *Observation) { o.Live.Findings = append(o.Live.Findings, sided(f, policies.LiveSide)) }
}

// onlyFixes: the dry-runs of the fixed live job and of the desired one agree.
func onlyFixes(o *Observation) {
	o.Live.Redundant, o.Live.Differs, o.Live.OnlyFixes, o.Live.Diff = false, true, true, []Change{fixOf}
}

func fixesAndDrift(o *Observation) {
	o.Live.Redundant, o.Live.Differs, o.Live.Diff = false, true, []Change{fixOf, driftOf}
}

func drifted(o *Observation) { o.Live.Differs, o.Live.Diff = true, []Change{driftOf} }

func absentLive(o *Observation) { o.Live = nil }
func fileGone(o *Observation)   { o.File = nil }
func noFile(o *Observation) {
	o.File, o.Ours, o.By = nil, false, &NomadSource{Name: "running"}
}
func fixAlone(o *Observation) {
	noFile(o)
	liveFinding(fixable)(o)
	o.Live.Redundant, o.Live.Diff = false, []Change{fixOf}
}
func stoppedLive(o *Observation) { o.Live.State.Stopped = true }
func batchLive(o *Observation)   { o.Live.Job.Type, o.File.Desired.Type = new("batch"), new("batch") }
func periodic(o *Observation)    { o.Live.Job.Periodic = &api.PeriodicConfig{} }
func sick(o *Observation)        { o.Live.State.Why, o.Live.State.Healthy = "allocation 1 is failed", false }
func failedBefore(o *Observation) {
	o.Failed = &history.Run{ID: "run-1", Reason: "gate logs", Result: history.RolledBack}
}

func TestDecide(t *testing.T) {
	edit, reg, stop := EditFile, Register, Stop
	apply := Sync{Fix: true, Drift: Report, Create: Report, Prune: Report, Person: true}
	tests := map[string]struct {
		o       []with
		s       Sync
		want    Condition
		actions []Action
		from    string // the source that is registered
		left    string // part of what is left, or of the hold
	}{
		"in sync":                              {nil, agent, InSync, nil, "", ""},
		"in sync, warned":                      {[]with{fileFinding(warned)}, agent, InSync, nil, "", ""},
		"in sync, ill":                         {[]with{sick}, agent, Degraded, nil, "", ""},
		"ill since a run failed":               {[]with{sick, func(o *Observation) { o.Broken = &history.Run{ID: "run-1"} }}, agent, Failed, nil, "", ""},
		"file alone to fix":                    {[]with{fileFinding(fixable)}, agent, OutOfSync, []Action{edit}, "", ""},
		"file alone, only reported":            {[]with{fileFinding(fixable)}, reporter, OutOfSync, nil, "", "sync.fix"},
		"only fixes differ":                    {[]with{fileFinding(fixable), liveFinding(fixable), onlyFixes}, agent, OutOfSync, []Action{edit, reg}, "new", ""},
		"only fixes, file mended already":      {[]with{liveFinding(fixable), onlyFixes}, agent, OutOfSync, []Action{reg}, "old", ""},
		"only fixes, only reported":            {[]with{fileFinding(fixable), liveFinding(fixable), onlyFixes}, reporter, OutOfSync, nil, "", "sync.fix"},
		"fixes and more differ":                {[]with{fileFinding(fixable), liveFinding(fixable), fixesAndDrift}, agent, OutOfSync, []Action{edit, reg}, "live", "-correct-drift"},
		"fixes and more, drift corrected":      {[]with{fileFinding(fixable), liveFinding(fixable), fixesAndDrift}, Sync{Fix: true, Drift: Correct}, OutOfSync, []Action{edit, reg}, "new", ""},
		"fixes and more, drift ignored":        {[]with{liveFinding(fixable), fixesAndDrift}, Sync{Fix: true, Drift: Ignore}, OutOfSync, []Action{reg}, "live", ""},
		"fixes and more, file denied":          {[]with{fileFinding(denied), liveFinding(fixable), fixesAndDrift}, Sync{Fix: true, Drift: Correct}, Denied, []Action{reg}, "live", "forbid"},
		"drift reported":                       {[]with{drifted}, agent, OutOfSync, nil, "", "-correct-drift"},
		"drift corrected":                      {[]with{drifted}, Sync{Drift: Correct}, OutOfSync, []Action{reg}, "old", ""},
		"drift ignored":                        {[]with{drifted}, Sync{Drift: Ignore}, InSync, nil, "", ""},
		"drift, file denied":                   {[]with{drifted, fileFinding(denied)}, Sync{Drift: Correct}, Denied, nil, "", "forbid"},
		"drift, live has the same finding":     {[]with{drifted, fileFinding(denied), liveFinding(denied)}, Sync{Drift: Correct}, Denied, []Action{reg}, "old", ""},
		"drift, live has another finding":      {[]with{drifted, fileFinding(denied), liveFinding(policies.Finding{Policy: "p", Rule: "env.required", Enforce: policies.Deny, Path: envPath, Message: "other"})}, Sync{Drift: Correct}, Denied, nil, "", "forbid"},
		"one denied, others are still fixed":   {[]with{fileFinding(denied), fileFinding(fixable)}, agent, Denied, []Action{edit}, "", ""},
		"absent":                               {[]with{absentLive}, agent, OutOfSync, nil, "", "Nomad does not know it"},
		"absent, registered":                   {[]with{absentLive}, Sync{Create: Create}, OutOfSync, []Action{reg}, "old", ""},
		"absent, fixed and registered":         {[]with{absentLive, fileFinding(fixable)}, Sync{Create: Create, Fix: true}, OutOfSync, []Action{edit, reg}, "new", ""},
		"absent and denied":                    {[]with{absentLive, fileFinding(denied)}, Sync{Create: Create}, Denied, nil, "", "forbid"},
		"absent batch":                         {[]with{batchLive, absentLive}, Sync{Create: Create}, OutOfSync, nil, "", "-rerun"},
		"stopped by an operator":               {[]with{stoppedLive, drifted}, agent, InSync, nil, "", "-start"},
		"stopped, file edits go on":            {[]with{stoppedLive, fileFinding(fixable), liveFinding(fixable), onlyFixes}, agent, OutOfSync, []Action{edit}, "", "-start"},
		"stopped, started":                     {[]with{stoppedLive}, Sync{Start: true}, OutOfSync, []Action{reg}, "old", ""},
		"stopped and denied":                   {[]with{stoppedLive, fileFinding(denied)}, Sync{Start: true}, Denied, nil, "", "forbid"},
		"finished batch":                       {[]with{batchLive, fileFinding(fixable), liveFinding(fixable), onlyFixes}, agent, OutOfSync, []Action{edit}, "", "-rerun"},
		"finished batch, again":                {[]with{batchLive, liveFinding(fixable), onlyFixes}, Sync{Fix: true, Rerun: true}, OutOfSync, []Action{reg}, "old", ""},
		"periodic batch is no finished one":    {[]with{batchLive, periodic, liveFinding(fixable), onlyFixes}, agent, OutOfSync, []Action{reg}, "old", ""},
		"file removed":                         {[]with{fileGone}, agent, Orphan, nil, "", "sync.prune"},
		"file removed, first pass":             {[]with{fileGone}, Sync{Prune: StopGone}, Orphan, nil, "", "another pass"},
		"file removed for good":                {[]with{fileGone, func(o *Observation) { o.Grace = true }}, Sync{Prune: StopGone}, Orphan, []Action{stop}, "", ""},
		"file removed, source not whole":       {[]with{fileGone, func(o *Observation) { o.Grace, o.Complete = true, false }}, Sync{Prune: StopGone}, Held, nil, "", "could be read"},
		"file removed, job stopped":            {[]with{fileGone, stoppedLive}, Sync{Prune: StopGone}, InSync, nil, "", ""},
		"file removed, never ours":             {[]with{fileGone, func(o *Observation) { o.Ours = false }}, Sync{Prune: StopGone}, InSync, nil, "", ""},
		"no file, in sync":                     {[]with{noFile}, agent, InSync, nil, "", ""},
		"no file, ill":                         {[]with{noFile, sick}, agent, Degraded, nil, "", ""},
		"no file, warned":                      {[]with{noFile, liveFinding(warned)}, agent, InSync, nil, "", ""},
		"no file, denied":                      {[]with{noFile, liveFinding(denied)}, agent, Denied, nil, "", ""},
		"no file, fixed":                       {[]with{fixAlone}, agent, OutOfSync, []Action{reg}, "live", ""},
		"no file, drift is none":               {[]with{fixAlone}, Sync{Fix: true, Drift: Correct, Create: Create, Prune: StopGone}, OutOfSync, []Action{reg}, "live", ""},
		"no file, one denied, another fixed":   {[]with{fixAlone, liveFinding(denied)}, agent, Denied, []Action{reg}, "live", ""},
		"no file, only reported":               {[]with{fixAlone}, reporter, OutOfSync, nil, "", "sync.fix"},
		"no file, batch":                       {[]with{fixAlone, func(o *Observation) { o.Live.Job.Type = new("batch") }}, agent, OutOfSync, nil, "", "-rerun"},
		"no file, batch again":                 {[]with{fixAlone, func(o *Observation) { o.Live.Job.Type = new("batch") }}, Sync{Fix: true, Rerun: true}, OutOfSync, []Action{reg}, "live", ""},
		"no file, stopped":                     {[]with{noFile, stoppedLive}, agent, InSync, nil, "", ""},
		"no file, stopped, to fix":             {[]with{fixAlone, stoppedLive}, agent, InSync, nil, "", "-start"},
		"no file, stopped, started":            {[]with{fixAlone, stoppedLive}, Sync{Fix: true, Start: true}, OutOfSync, []Action{reg}, "live", ""},
		"no file, pruned never":                {[]with{noFile, func(o *Observation) { o.Ours, o.Grace = true, true }}, Sync{Prune: StopGone}, InSync, nil, "", ""},
		"no file, unless it is in one unread":  {[]with{fixAlone, func(o *Observation) { o.Complete = false }}, agent, Held, nil, "", "could be read"},
		"no file, child":                       {[]with{fixAlone, func(o *Observation) { o.Live.Job.ParentID = new("cron") }}, agent, Held, nil, "", "child of cron"},
		"no file, failed before":               {[]with{fixAlone, failedBefore}, agent, Held, nil, "", "run-1"},
		"unreadable":                           {[]with{func(o *Observation) { o.Held = &Hold{Reason: "web.hcl:1:1: bad", Next: "mend it"} }}, apply, Held, nil, "", "web.hcl:1:1"},
		"open run":                             {[]with{func(o *Observation) { o.Open = &history.Run{ID: "run-9"} }}, apply, Converging, nil, "", "run-9"},
		"child":                                {[]with{func(o *Observation) { o.Live.Job.ParentID = new("cron") }}, apply, Held, nil, "", "child of cron"},
		"policies in conflict":                 {[]with{func(o *Observation) { o.File.Verdict.Conflict = "a and b" }}, apply, Held, nil, "", "a and b"},
		"policies in conflict over live":       {[]with{func(o *Observation) { o.Live.Verdict.Conflict = "a and b" }}, apply, Held, nil, "", "a and b"},
		"failed revision holds the agent":      {[]with{fileFinding(fixable), failedBefore}, agent, Held, nil, "", "run-1"},
		"failed revision, a person goes on":    {[]with{fileFinding(fixable), failedBefore}, apply, OutOfSync, []Action{edit}, "", ""},
		"a hold goes before a failed revision": {[]with{failedBefore, func(o *Observation) { o.Open = &history.Run{ID: "run-9"} }}, agent, Converging, nil, "", "run-9"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := Decide(observed(tt.o...), tt.s)
			if p.Condition != tt.want || !slices.Equal(p.Actions, tt.actions) {
				t.Errorf("%s %v, want %s %v (%s)", p.Condition, p.Actions, tt.want, tt.actions, p.Reason)
			}
			if got := sourceOf(p); got != tt.from {
				t.Errorf("registers %q, want %q", got, tt.from)
			}
			if told := tellOf(p); !strings.Contains(told, tt.left) || tt.left == "" && told != "" {
				t.Errorf("tells %q, want %q", told, tt.left)
			}
			if (p.Condition == Held || p.Condition == Converging) && (p.Hold == nil || p.Hold.Next == "") {
				t.Error("a hold without a next step")
			}
		})
	}
}

func sourceOf(p Plan) string {
	if p.change.submission == nil {
		return ""
	}
	return p.change.submission.Source
}

func tellOf(p Plan) string {
	if p.Hold != nil {
		return p.Hold.Reason
	}
	return strings.Join(p.Left, "; ")
}

// Every row is somebody's: a test that reaches it.
func TestEveryRowIsReached(t *testing.T) {
	reached := map[string]bool{}
	for _, o := range []Observation{
		observed(fileGone, absentLive), observed(fileGone), observed(absentLive), observed(stoppedLive), observed(),
		observed(batchLive, onlyFixes), observed(fixAlone), observed(onlyFixes), observed(fixesAndDrift), observed(drifted),
	} {
		reached[firstRow(o, agent).name] = true
	}
	for _, r := range liveRows {
		if !reached[r.name] {
			t.Errorf("no observation reaches the row %q", r.name)
		}
	}
}

func TestDriftIsMarkedAndStays(t *testing.T) {
	p := Decide(observed(fileFinding(fixable), liveFinding(fixable), fixesAndDrift), agent)
	if len(p.LiveDiff) != 2 || p.LiveDiff[0].Stays || !p.LiveDiff[1].Stays {
		t.Errorf("%+v", p.LiveDiff)
	}
	p = Decide(observed(liveFinding(fixable), fixesAndDrift), Sync{Fix: true, Drift: Ignore})
	if len(p.LiveDiff) != 1 || !p.LiveDiff[0].Finding {
		t.Errorf("ignored drift is shown: %+v", p.LiveDiff)
	}
}

func TestWayBack(t *testing.T) {
	healthy, ill := history.Prior{Healthy: true}, history.Prior{}
	gate := func(text string) error { return &gateError{title: "deployment", detail: text} }
	tests := map[string]struct {
		registered bool
		prior      history.Prior
		onFailure  policies.OnFailure
		cause      error
		want       wayBack
	}{
		"nothing registered yet":  {false, ill, policies.Keep, gate("x"), restore},
		"healthy before":          {true, healthy, policies.Rollback, gate("x"), restore},
		"ill before":              {true, ill, policies.Rollback, gate("x"), leave},
		"keep":                    {true, healthy, policies.Keep, gate("x"), leave},
		"Nomad reverts by itself": {true, healthy, policies.Rollback, gate("Failed due to unhealthy allocations - rolling back to job version 0"), awaitRevert},
		"Nomad says it does not":  {true, healthy, policies.Rollback, gate("Failed - not rolling back to job version 0"), restore},
		"somebody else took over": {true, healthy, policies.Rollback, errForeign, leave},
	}
	for name, tt := range tests {
		if got, why := wayBackOf(tt.registered, tt.prior, tt.onFailure, tt.cause); got != tt.want || why == "" {
			t.Errorf("%s: %v (%s), want %v", name, got, why, tt.want)
		}
	}
}
