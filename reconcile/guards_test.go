package reconcile

import (
	"slices"
	"strings"
	"testing"
	"time"

	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

var noon = time.Date(2026, 2, 4, 12, 0, 0, 0, time.UTC)

// done is a run of the agent, that many hours ago, which has edited the file to "new"
// and registered the job; each change turns it into that of a row.
func done(hoursAgo float64, changes ...func(*history.Run)) history.Run {
	r := history.Run{
		ID: "run-" + noon.Add(-time.Duration(hoursAgo*float64(time.Hour))).Format("02T15"), Job: job.ID{Namespace: "default", Name: "web"}, Kind: AgentKind,
		Started: noon.Add(-time.Duration(hoursAgo * float64(time.Hour))), Actions: []string{"edit", "register"},
		Basis: history.Basis{File: history.Hash([]byte("old")), Vars: "v", Policies: "p"}, NewFile: history.Hash([]byte("new")),
		Result: history.Converged, Gates: []history.GateResult{{Kind: "deployment", Result: history.OK}},
	}
	for _, change := range changes {
		change(&r)
	}
	return r
}

func by(kind string) func(*history.Run) { return func(r *history.Run) { r.Kind = kind } }
func of(id string) func(*history.Run)   { return func(r *history.Run) { r.Of = id } }
func under(policies string) func(*history.Run) {
	return func(r *history.Run) { r.Basis.Policies = policies }
}
func withVars(vars string) func(*history.Run) { return func(r *history.Run) { r.Basis.Vars = vars } }
func ended(result history.Result) func(*history.Run) {
	return func(r *history.Run) { r.Result = result }
}
func stillOpen(r *history.Run) { r.Open, r.Result = true, "" }
func gateFailed(r *history.Run) {
	r.Result, r.Gates = history.RolledBack, []history.GateResult{{Kind: "logs", Name: "x", Result: history.NotOK}}
}
func editsAlone(r *history.Run) { r.Actions, r.Gates = []string{"edit"}, nil }

// liveAlone: the file was as it is to be already, only the live job was mended.
func liveAlone(r *history.Run) {
	r.Actions, r.Basis.File, r.NewFile = []string{"register"}, history.Hash([]byte("new")), ""
}

func TestFought(t *testing.T) {
	t.Parallel()
	at := history.Basis{File: history.Hash([]byte("new")), Vars: "v", Policies: "p", JobModifyIndex: 9}
	tests := map[string]struct {
		runs   []history.Run // the newest first
		action Action
		want   bool
	}{
		"no runs":                               {nil, EditFile, false},
		"twice":                                 {[]history.Run{done(1), done(2)}, EditFile, false},
		"three times":                           {[]history.Run{done(1), done(2), done(3)}, EditFile, true},
		"three times, in the live job":          {[]history.Run{done(1), done(2), done(3)}, Register, true},
		"file and job, then the job alone":      {[]history.Run{done(1, liveAlone), done(2, liveAlone), done(3)}, Register, true},
		"of these only one edit":                {[]history.Run{done(1, liveAlone), done(2, liveAlone), done(3)}, EditFile, false},
		"within a day":                          {[]history.Run{done(1), done(2), done(25)}, EditFile, true},
		"within more than a day":                {[]history.Run{done(1), done(2), done(25.1)}, EditFile, false},
		"within a day, a week ago":              {[]history.Run{done(170), done(171), done(172)}, EditFile, true},
		"with others between":                   {[]history.Run{done(1), done(2, withVars("x")), done(3, gateFailed), done(4, stillOpen), done(5, ended(history.Unchanged)), done(6), done(7)}, EditFile, true},
		"under other policies":                  {[]history.Run{done(1), done(2, under("x")), done(3)}, EditFile, false},
		"failed runs have fixed nothing":        {[]history.Run{done(1), done(2), done(3, gateFailed)}, EditFile, false},
		"a person since":                        {[]history.Run{done(0.5, by("apply")), done(1), done(2), done(3)}, EditFile, false},
		"a person between":                      {[]history.Run{done(1), done(2), done(2.5, by("rollback")), done(3), done(4)}, EditFile, false},
		"a person's run that did nothing":       {[]history.Run{done(1), done(2), done(2.5, by("apply"), ended(history.Unchanged)), done(3)}, EditFile, true},
		"a person before":                       {[]history.Run{done(1), done(2), done(3), done(4, by("apply"))}, EditFile, true},
		"three times by a person":               {[]history.Run{done(1, by("apply")), done(2, by("apply")), done(3, by("apply"))}, EditFile, false},
		"other fixes of the same job, each new": {[]history.Run{done(1), done(2, func(r *history.Run) { r.NewFile = "x" }), done(3, func(r *history.Run) { r.NewFile = "y" })}, EditFile, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := fought(tt.runs, tt.action, at); (got != nil) != tt.want || got != nil && len(got) != fightRuns {
				t.Errorf("%v, want %t", got, tt.want)
			}
		})
	}
}

func TestTrial(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		runs   []history.Run // the newest first
		proven bool
		failed string
	}{
		"nothing yet":                          {nil, false, ""},
		"converged":                            {[]history.Run{done(1)}, true, ""},
		"converged by a person":                {[]history.Run{done(1, by("apply"))}, true, ""},
		"under other policies":                 {[]history.Run{done(1, under("x")), done(2, under("x"), gateFailed)}, false, ""},
		"the first failed":                     {[]history.Run{done(1, gateFailed)}, false, "run-04T11"},
		"the first failed and others followed": {[]history.Run{done(1, gateFailed), done(2, gateFailed)}, false, "run-04T10"},
		"kept, but failed":                     {[]history.Run{done(1, gateFailed, ended(history.Failed))}, false, "run-04T11"},
		"failed, then converged":               {[]history.Run{done(1), done(2, gateFailed)}, true, ""},
		"converged, then failed":               {[]history.Run{done(1, gateFailed), done(2)}, true, ""},
		"failed, but not by a gate":            {[]history.Run{done(1, ended(history.Failed))}, false, ""},
		"a file alone proves nothing":          {[]history.Run{done(1, editsAlone)}, false, ""},
		"a rollback proves nothing":            {[]history.Run{done(1, of("x")), done(2, of("y"), gateFailed)}, false, ""},
		"one is running":                       {[]history.Run{done(1, stillOpen)}, false, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proven, failed := trial(tt.runs, "p")
			id := ""
			if failed != nil {
				id = failed.ID
			}
			if proven != tt.proven || id != tt.failed {
				t.Errorf("%t %q, want %t %q", proven, id, tt.proven, tt.failed)
			}
		})
	}
}

func TestFailedRun(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		runs []history.Run // the newest first
		want bool
	}{
		"no runs":                   {nil, false},
		"converged":                 {[]history.Run{done(1)}, false},
		"rolled back":               {[]history.Run{done(1, gateFailed)}, true},
		"failed":                    {[]history.Run{done(1, gateFailed, ended(history.Failed))}, true},
		"failed, but not by a gate": {[]history.Run{done(1, ended(history.Failed))}, false},
		"converged since":           {[]history.Run{done(1), done(2, gateFailed)}, false},
		"held since":                {[]history.Run{done(1, ended(history.Held)), done(2, gateFailed)}, true},
		"another rolled back since": {[]history.Run{done(1, of("some run")), done(2, gateFailed)}, true},
		"a rollback failed":         {[]history.Run{done(1, of("some run"), gateFailed), done(2)}, false},
		"one is running":            {[]history.Run{done(1, stillOpen), done(2, gateFailed)}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := failedRun(tt.runs); (got != nil) != tt.want {
				t.Errorf("%v, want %t", got, tt.want)
			}
		})
	}
}

func TestRecall(t *testing.T) {
	t.Parallel()
	web, api := job.ID{Namespace: "default", Name: "web"}, job.ID{Namespace: "prod", Name: "api"}
	m := memory{
		byJob: map[job.ID][]history.Run{web: {done(1, stillOpen), done(2, gateFailed, ended(history.Failed))}},
		suspended: []history.Suspension{
			{Job: "api@prod", Reason: "its own"}, {Reason: "all"},
		},
	}
	o := Observation{ID: web, Basis: history.Basis{File: history.Hash([]byte("old")), Vars: "v", Policies: "p"}}
	m.recall(&o)
	if o.Open == nil || o.Open.ID != "run-04T11" || o.Failed == nil || o.Broken != nil || o.Suspended == nil || !o.Suspended.All() || len(o.Past) != 2 {
		t.Errorf("%+v", o)
	}
	o = Observation{ID: web, Basis: history.Basis{File: history.Hash([]byte("new")), Vars: "v", Policies: "p"}}
	if m.recall(&o); o.Failed != nil || o.Broken == nil {
		t.Errorf("the file is as the run left it: %+v", o)
	}
	o = Observation{ID: api}
	if m.recall(&o); o.Open != nil || o.Failed != nil || o.Suspended == nil || o.Suspended.Reason != "its own" {
		t.Errorf("%+v", o)
	}
}

func isSuspended(o *Observation) {
	o.Suspended = &history.Suspension{Job: "web", Reason: "moving house", By: "ana", Until: noon}
}

func allSuspended(o *Observation) { o.Suspended = &history.Suspension{Reason: "freeze"} }

func isFought(o *Observation) {
	o.Past = []history.Run{done(1), done(2), done(3)}
	o.Basis = history.Basis{File: history.Hash([]byte("old")), Vars: "v", Policies: "p"}
}

func isPaused(o *Observation) {
	run := done(1, gateFailed, under("0123456789"))
	run.Job.Name = "api"
	o.Paused = &run
}

// The guards bind the agent, in DESIGN's order; a person's plan names them all and
// goes on.
func TestGuards(t *testing.T) {
	t.Parallel()
	person := Sync{Fix: true, Drift: Report, Create: Report, Prune: Report, Person: true}
	toFix := []with{fileFinding(fixable), liveFinding(fixable), onlyFixes}
	conflicting := func(o *Observation) { o.File.Verdict.Conflict = "a and b" }
	tests := map[string]struct {
		o      []with
		reason string // of the agent's hold, its beginning; empty for none
		next   string
		notes  int // of a person's plan
	}{
		"nothing":                            {toFix, "", "", 0},
		"suspended":                          {append(toFix, isSuspended), "suspended by ana until 2026-02-04 12:00 UTC: moving house", "reconcile resume web", 1},
		"suspended, in sync":                 {[]with{isSuspended}, "suspended by ana", "reconcile resume web", 1},
		"all suspended":                      {append(toFix, allSuspended), "all jobs are suspended: freeze", "reconcile resume -all", 1},
		"fight":                              {append(toFix, isFought), "fight: the fix was undone 3 times since run run-04T09", "reconcile apply web", 1},
		"fought before, in sync now":         {[]with{isFought}, "", "", 0},
		"fought before, drift is reported":   {[]with{isFought, drifted}, "", "", 0},
		"policies paused":                    {append(toFix, isPaused), "policies revision 01234567 failed its first run on api (run run-04T11): paused", "reconcile apply web", 1},
		"policies paused, in sync":           {[]with{isPaused}, "", "", 0},
		"policies paused, file alone":        {[]with{fileFinding(fixable), isPaused}, "policies revision", "reconcile apply", 1},
		"conflict before suspended":          {append(toFix, isSuspended, conflicting), "a and b", "make the policies agree", 0},
		"suspended before failed revision":   {append(toFix, failedBefore, isSuspended), "suspended", "resume", 2},
		"failed revision before fight":       {append(toFix, isFought, failedBefore), "this revision failed", "apply", 2},
		"fight before paused":                {append(toFix, isPaused, isFought), "fight", "apply", 2},
		"all of them":                        {append(toFix, isPaused, isFought, failedBefore, isSuspended), "suspended", "resume", 4},
		"an orphan that is stopped for long": {[]with{fileGone, func(o *Observation) { o.Grace = true }, isSuspended}, "suspended", "resume", 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := agent
			s.Prune = StopGone
			p := Decide(observed(tt.o...), s)
			if tt.reason == "" {
				if p.Hold != nil {
					t.Errorf("held: %+v", p.Hold)
				}
			} else if p.Hold == nil || p.Condition != Held || p.Does() || !strings.HasPrefix(p.Hold.Reason, tt.reason) || !strings.Contains(p.Hold.Next, tt.next) {
				t.Errorf("%s %v %+v, want %q, next %q", p.Condition, p.Actions, p.Hold, tt.reason, tt.next)
			}
			if q := Decide(observed(tt.o...), person); len(q.Notes) != tt.notes {
				t.Errorf("a person is told %q, want %d notes", q.Notes, tt.notes)
			}
		})
	}
}

// Drift that the agent corrects, and somebody brings back, is a fight as well.
func TestFightOverDrift(t *testing.T) {
	t.Parallel()
	correct := Sync{Drift: Correct}
	undone := func(o *Observation) {
		isFought(o)
		o.Basis.File = history.Hash([]byte("old"))
		for i := range o.Past {
			o.Past[i].NewFile, o.Past[i].Actions = "", []string{"register"}
		}
	}
	if p := Decide(observed(drifted, undone), correct); p.Hold == nil || !strings.HasPrefix(p.Hold.Reason, "fight") {
		t.Errorf("%s %v", p.Condition, p.Actions)
	}
	p := Decide(observed(drifted, undone, func(o *Observation) { o.Past = o.Past[:2] }), correct)
	if !slices.Equal(p.Actions, []Action{Register}) {
		t.Errorf("twice: %s %v %v", p.Condition, p.Actions, p.Hold)
	}
}
