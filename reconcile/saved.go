package reconcile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// Asked is what a plan was asked for. Asking the same again gives the plan that is
// held against the saved one; nothing that a saved plan says is ever done itself.
type Asked struct {
	Dir          string   `json:"dir"`    // the working directory, absolute
	Config       string   `json:"config"` // as typed
	Args         []string `json:"args"`   // as typed
	CorrectDrift bool     `json:"correct_drift"`
	Start        bool     `json:"start"`
	Rerun        bool     `json:"rerun"`
	Nomad        string   `json:"nomad"` // its address
}

// Saved is a plan that was written to a file: what was asked, and for each job that
// it would change what it was made from and what it would make of it.
type Saved struct {
	Asked    Asked             `json:"asked"`
	Policies map[string]string `json:"policies"` // hashes of the policy files, by name
	Jobs     []SavedJob        `json:"jobs"`
}

// SavedJob is one job of a saved plan. It holds file and specs whole, secrets
// included, so that differences can be shown.
type SavedJob struct {
	ID        job.ID         `json:"id"`
	File      string         `json:"file"` // as users see it; empty without a file
	Basis     history.Basis  `json:"basis"`
	Condition Condition      `json:"condition"`
	Reason    string         `json:"reason"`
	Actions   []Action       `json:"actions"`
	Bytes     []byte         `json:"bytes"`     // of the file
	Variables map[string]any `json:"variables"` // values as in JSON
	Live      *api.Job       `json:"live"`      // nil where Nomad does not know it
	Next      history.Next   `json:"next"`
}

// savedFormat grows whenever an older program would misread the file.
const savedFormat = 1

// savedMark begins every saved plan, of whatever format.
const savedMark = `{"reconcile_plan":`

// savedFile is the file: its format, the SHA-256 of the plan's bytes, the plan.
type savedFile struct {
	Format int             `json:"reconcile_plan"`
	Sum    string          `json:"sha256"`
	Plan   json.RawMessage `json:"plan"`
}

// LooksSaved reports whether a file with these bytes is a saved plan of whatever
// format, be it whole or not.
func LooksSaved(data []byte) bool { return bytes.HasPrefix(data, []byte(savedMark)) }

// Save is the file of a saved plan. It holds the jobs whose plans still have what
// they were made from: see Planner.ReadOnly and Planner.Whole.
func Save(asked Asked, files []policies.Source, plans []Plan) ([]byte, error) {
	s := Saved{Asked: asked, Policies: map[string]string{}, Jobs: []SavedJob{}}
	for _, f := range files {
		s.Policies[f.Name] = history.Hash(f.Bytes)
	}
	for _, p := range plans {
		if p.change != nil {
			s.Jobs = append(s.Jobs, savedJob(p))
		}
	}
	plan, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encoding the plan: %w", err)
	}
	data, err := json.Marshal(savedFile{Format: savedFormat, Sum: sumOf(plan), Plan: plan})
	return append(data, '\n'), err
}

func sumOf(plan []byte) string {
	sum := sha256.Sum256(plan)
	return hex.EncodeToString(sum[:])
}

func savedJob(p Plan) SavedJob {
	out := SavedJob{
		ID: p.ID, File: p.File, Basis: p.Basis, Condition: p.Condition, Reason: p.Reason,
		Actions: p.Actions, Bytes: p.change.doc.Bytes, Live: p.change.live.job(),
		Next: history.Next{Bytes: p.change.after, Job: p.change.register, Submission: p.change.submission},
	}
	for _, v := range p.Variables {
		if out.Variables == nil {
			out.Variables = map[string]any{}
		}
		out.Variables[v.Name] = plainValue(v.Value)
	}
	return out
}

// plainValue is nil for a value that no job can hold, such as an unknown one.
func plainValue(v cty.Value) any {
	out, err := job.GoValue(v)
	if _, bad := json.Marshal(out); err != nil || bad != nil {
		return nil
	}
	return out
}

// LoadSaved reads the file of a saved plan. The error says what is wrong with it,
// without its name.
func LoadSaved(data []byte) (Saved, error) {
	var f savedFile
	err := json.Unmarshal(data, &f)
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return Saved{}, errors.New("it is empty")
	case !LooksSaved(data):
		return Saved{}, errors.New("it is no saved plan")
	case err != nil:
		return Saved{}, errors.New("it was cut short or edited: it is not whole JSON")
	case f.Format != savedFormat:
		return Saved{}, fmt.Errorf("it was saved by another version of reconcile: its format is %d, and this one reads %d", f.Format, savedFormat)
	case f.Sum != sumOf(f.Plan):
		return Saved{}, errors.New("it was edited or damaged: its checksum does not fit")
	}
	var s Saved
	if err := json.Unmarshal(f.Plan, &s); err != nil {
		return Saved{}, fmt.Errorf("it is no plan: %w", err)
	}
	return s, nil
}

// Part is what a saved plan of a job rests on.
type Part string

// The parts, in the order in which they are told.
const (
	MovedFile      Part = "file"
	MovedVariables Part = "variables"
	MovedPolicies  Part = "policies"
	MovedLive      Part = "live job"
	MovedOutcome   Part = "plan" // what would be done, with all of the above as they were
)

// Stale is how a saved plan no longer fits what is there; the zero value: it does.
type Stale struct {
	Nomad    string // the other address, where it was made with another Nomad
	Policies []string
	Jobs     []StaleJob
}

// Any reports whether anything moved.
func (s Stale) Any() bool { return s.Nomad != "" || len(s.Jobs) > 0 }

// StaleJob is one job that is no longer as it was planned.
type StaleJob struct {
	ID        job.ID
	Moved     []Part
	Reason    string // in words
	FileDiff  string // unified, from the planned bytes to those of now; secrets included
	Variables []VariableMoved
	Live      string // what became of the live job; empty where it stayed
	LiveDiff  []job.Difference
	Planned   []Action
	Now       []Action
}

// VariableMoved is a variable whose value is another one now; nil: not there.
type VariableMoved struct {
	Name          string
	Before, After any // as in JSON; secrets included
}

// Against holds a saved plan against the one that the same arguments give now,
// which must come from LoadSaved as well. Jobs that neither would change do not
// count.
func (s Saved) Against(now Saved) Stale {
	var out Stale
	if s.Asked.Nomad != now.Asked.Nomad {
		out.Nomad = now.Asked.Nomad
	}
	for _, then := range s.Jobs {
		if len(then.Actions) == 0 {
			continue
		}
		i := slices.IndexFunc(now.Jobs, func(j SavedJob) bool { return j.ID == then.ID })
		if i < 0 {
			out.Jobs = append(out.Jobs, goneJob(then))
		} else if j := then.against(now.Jobs[i]); len(j.Moved) > 0 {
			out.Jobs = append(out.Jobs, j)
		}
	}
	for _, j := range now.Jobs {
		known := slices.ContainsFunc(s.Jobs, func(then SavedJob) bool { return then.ID == j.ID && len(then.Actions) > 0 })
		if !known && len(j.Actions) > 0 {
			out.Jobs = append(out.Jobs, newJob(j))
		}
	}
	slices.SortStableFunc(out.Jobs, func(a, b StaleJob) int { return a.ID.Compare(b.ID) })
	if len(out.Jobs) > 0 {
		out.Policies = movedFiles(s.Policies, now.Policies)
	}
	return out
}

func goneJob(then SavedJob) StaleJob {
	return StaleJob{ID: then.ID, Moved: []Part{MovedFile}, Planned: then.Actions, Reason: goneText(then)}
}

func goneText(then SavedJob) string {
	if then.File == "" {
		return "it is gone: no source \"nomad\" names it any more, or Nomad does not know it"
	}
	return "it is gone: no job file declares it any more"
}

func newJob(j SavedJob) StaleJob {
	return StaleJob{ID: j.ID, Moved: []Part{MovedOutcome}, Now: j.Actions, Reason: "it would be changed now, which the plan does not say: " + actionsText(j)}
}

// against: each part is compared by its basis; the rest is for showing.
func (then SavedJob) against(now SavedJob) StaleJob {
	out := StaleJob{ID: then.ID, Planned: then.Actions, Now: now.Actions}
	if now.Basis == (history.Basis{}) { // two files mean it now: none of them counts
		out.Moved, out.Reason = []Part{MovedFile}, actionsText(now)
		return out
	}
	if then.Basis.File != now.Basis.File || then.File != now.File {
		out.Moved = append(out.Moved, MovedFile)
		out.FileDiff = unified(then.File, then.Bytes, now.Bytes)
	}
	if then.Basis.Vars != now.Basis.Vars && now.Basis.Vars != "" { // a file that does not parse has none
		out.Moved = append(out.Moved, MovedVariables)
		out.Variables = movedVariables(then.Variables, now.Variables)
	}
	if then.Basis.Policies != now.Basis.Policies {
		out.Moved = append(out.Moved, MovedPolicies)
	}
	if then.Basis.JobModifyIndex != now.Basis.JobModifyIndex {
		out.Moved = append(out.Moved, MovedLive)
		out.Live, out.LiveDiff = movedLive(then, now)
	}
	if len(out.Moved) == 0 {
		out.outcome(then, now)
	}
	if len(out.Moved) > 0 {
		out.Reason = movedText(out, then, now)
	}
	return out
}

// outcome: functions of job files that give another value every time, exceptions
// that ended, another configuration, another version of this program.
func (j *StaleJob) outcome(then, now SavedJob) {
	if slices.Equal(then.Actions, now.Actions) && sameJSON(then.Next, now.Next) {
		return
	}
	j.Moved = []Part{MovedOutcome}
	if then.Next.Job != nil && now.Next.Job != nil {
		j.LiveDiff = job.Diff(then.Next.Job, now.Next.Job, nil)
	}
	if then.Next.Bytes != nil && now.Next.Bytes != nil {
		j.FileDiff = unified(then.File, then.Next.Bytes, now.Next.Bytes)
	}
}

func sameJSON(a, b any) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

func movedText(j StaleJob, then, now SavedJob) string {
	var out []string
	for _, p := range j.Moved {
		out = append(out, partText(p, j, then, now))
	}
	text := strings.Join(out, "; ")
	if !slices.Equal(then.Actions, now.Actions) {
		text += "; now " + actionsText(now)
	}
	return text
}

func partText(p Part, j StaleJob, then, now SavedJob) string {
	switch {
	case p == MovedFile && then.File == "" && now.File == "":
		return "the source that Nomad keeps changed"
	case p == MovedFile && then.File == "":
		return "it is in " + now.File + " now"
	case p == MovedFile && now.File == "":
		return then.File + " is gone"
	case p == MovedFile && then.File != now.File:
		return fmt.Sprintf("it is in %s now, not in %s", now.File, then.File)
	case p == MovedFile:
		return then.File + " changed"
	case p == MovedVariables:
		return "values of variables changed"
	case p == MovedPolicies:
		return "the policies changed"
	case p == MovedLive:
		return "the live job " + j.Live
	}
	return "file, variables, policies and live job are as they were, but something else would be done"
}

// actionsText is what is done to a job, or why nothing is.
func actionsText(j SavedJob) string {
	if len(j.Actions) == 0 {
		text := "nothing would be done to it: it is " + strings.ReplaceAll(string(j.Condition), "_", " ")
		if j.Reason != "" {
			text += ", " + j.Reason
		}
		return text
	}
	names := make([]string, len(j.Actions))
	for i, a := range j.Actions {
		names[i] = string(a)
	}
	return strings.Join(names, ", ")
}

func movedVariables(then, now map[string]any) []VariableMoved {
	var out []VariableMoved
	for _, name := range keysOf(then, now) {
		if before, after := then[name], now[name]; !sameJSON(before, after) {
			out = append(out, VariableMoved{Name: name, Before: before, After: after})
		}
	}
	return out
}

// movedLive says what became of the live job, and what differs in it.
func movedLive(then, now SavedJob) (string, []job.Difference) {
	switch {
	case then.Live == nil && now.Live == nil: // never so, unless somebody made up the file
		return "moved", nil
	case then.Live == nil:
		return fmt.Sprintf("is there now: version %d", value(now.Live.Version)), nil
	case now.Live == nil:
		return "is gone from Nomad", nil
	}
	text := fmt.Sprintf("went from version %d to %d", value(then.Live.Version), value(now.Live.Version))
	if value(then.Live.Version) == value(now.Live.Version) {
		text = fmt.Sprintf("was written again (index %d, now %d)", then.Basis.JobModifyIndex, now.Basis.JobModifyIndex)
	}
	switch before, after := value(then.Live.Stop), value(now.Live.Stop); {
	case after && !before:
		text += " and was stopped"
	case before && !after:
		text += " and was started"
	}
	return text, job.Diff(then.Live, now.Live, nil)
}

// movedFiles are the files that differ, marked as a diff marks lines.
func movedFiles(then, now map[string]string) []string {
	var out []string
	for _, name := range keysOf(then, now) {
		before, was := then[name]
		after, is := now[name]
		switch {
		case !was:
			out = append(out, "+ "+name)
		case !is:
			out = append(out, "- "+name)
		case before != after:
			out = append(out, "~ "+name)
		}
	}
	return out
}

// keysOf are the keys of both maps, in order.
func keysOf[V any](a, b map[string]V) []string {
	var out []string
	for key := range a {
		out = append(out, key)
	}
	for key := range b {
		if _, both := a[key]; !both {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}
