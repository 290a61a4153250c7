package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/hashicorp/hcl/v2"
	"github.com/owenrumney/go-sarif/v2/sarif"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
)

// sourceRoot stands for the folder in which the program was started.
const sourceRoot = "%SRCROOT%"

// fingerprint is the key of what tells a finding from all others, whatever line it
// moves to.
const fingerprint = "reconcileFinding/v1"

// log builds one SARIF run.
type log struct {
	run   *sarif.Run
	rules map[string]uint // index by ID
	seen  map[string]int  // how often a fingerprint was given
}

// ChecksSARIF writes a check as SARIF 2.1.0. Jobs that are held, mistakes in files
// and exceptions that end are notifications of the invocation.
func ChecksSARIF(w io.Writer, c Check) error {
	doc, err := sarif.New(sarif.Version210)
	if err != nil {
		return err
	}
	l := &log{run: sarif.NewRun(*sarif.NewSimpleTool("reconcile")), rules: map[string]uint{}, seen: map[string]int{}}
	l.run.Tool.Driver.Version = &c.Version
	l.run.ColumnKind = "utf16CodeUnits"
	l.run.OriginalUriBaseIDs = map[string]*sarif.ArtifactLocation{
		sourceRoot: {Description: sarif.NewTextMessage("The folder in which reconcile was started.")},
	}
	for _, p := range c.Policies {
		for _, r := range p.Rules {
			l.rule(ruleID(p.Name, r.ID)).describe(p, r)
		}
	}
	for _, plan := range c.Plans {
		for _, f := range checkOf(plan, c.Side).all(c.Side) {
			l.run.AddResult(l.result(plan, f))
		}
	}
	l.run.Invocations = []*sarif.Invocation{l.invocation(c)}
	doc.AddRun(l.run)
	return encode(w, doc)
}

type descriptor struct{ *sarif.ReportingDescriptor }

// rule is the descriptor of that ID, which may be new.
func (l *log) rule(id string) descriptor {
	if i, ok := l.rules[id]; ok {
		return descriptor{l.run.Tool.Driver.Rules[i]}
	}
	l.rules[id] = uint(len(l.run.Tool.Driver.Rules))
	d := l.run.AddRule(id)
	d.ShortDescription = sarif.NewMultiformatMessageString(id)
	return descriptor{d}
}

func (d descriptor) describe(p policies.Info, r policies.RuleInfo) {
	d.DefaultConfiguration = &sarif.ReportingConfiguration{Level: level(r.Enforce)}
	d.Properties = sarif.Properties{"tags": []string{"nomad", p.Name}, "problem.severity": level(r.Enforce)}
	if text := firstOf(r.Description, p.Description); text != "" {
		d.ShortDescription = sarif.NewMultiformatMessageString(text)
	}
	if text := firstOf(p.Why); text != "" {
		d.FullDescription = sarif.NewMultiformatMessageString(text)
	}
	if text := help(p, r, false); text != "" {
		d.Help = sarif.NewMultiformatMessageString(text).WithMarkdown(help(p, r, true))
	}
}

// firstOf is the first text that says something, in one line.
func firstOf(texts ...string) string {
	for _, text := range texts {
		if text = clean(text); text != "" {
			return text
		}
	}
	return ""
}

func level(e policies.Enforce) string {
	if e == policies.Deny {
		return "error"
	}
	return "warning"
}

func (l *log) result(plan reconcile.Plan, f reconcile.Finding) *sarif.Result {
	id := ruleID(f.Policy, f.Rule)
	l.rule(id) // what tells of an exception that has ended is no rule of its policy
	out := sarif.NewRuleResult(id).WithRuleIndex(int(l.rules[id])).WithLevel(level(f.Enforce)).
		WithMessage(sarif.NewTextMessage(clean(f.Message, plan.ID.String(), plan.ID.Name)))
	out.Locations = []*sarif.Location{l.location(plan, f)}
	out.PartialFingerprints = map[string]any{fingerprint: l.fingerprint(plan, f)}
	if f.Exception != nil {
		out.Suppressions = []*sarif.Suppression{suppression(f.Exception)}
	}
	return out
}

// location: a live job without a file has a place in the job alone.
func (l *log) location(plan reconcile.Plan, f reconcile.Finding) *sarif.Location {
	name := printable(plan.ID.String() + "/" + pathOf(f))
	out := &sarif.Location{LogicalLocations: []*sarif.LogicalLocation{{FullyQualifiedName: &name}}}
	if at := placeOf(f); at.file != "" {
		out.PhysicalLocation = at.physical()
	}
	return out
}

func (at place) physical() *sarif.PhysicalLocation {
	out := sarif.NewPhysicalLocation().WithArtifactLocation(artifact(at.file))
	if at.line < 1 {
		return out
	}
	region := &sarif.Region{StartLine: &at.line, EndLine: &at.endLine}
	if at.column > 0 {
		region.StartColumn = &at.column
	}
	if at.endLast > 0 {
		region.EndColumn = &at.endLast
	}
	return out.WithRegion(region)
}

func artifact(file string) *sarif.ArtifactLocation {
	slashed := filepath.ToSlash(file)
	if filepath.IsAbs(file) {
		return sarif.NewSimpleArtifactLocation((&url.URL{Scheme: "file", Path: slashed}).String())
	}
	return sarif.NewSimpleArtifactLocation((&url.URL{Path: slashed}).String()).WithUriBaseId(sourceRoot)
}

// fingerprint does not know of lines: what is above a finding may change.
func (l *log) fingerprint(plan reconcile.Plan, f reconcile.Finding) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q", plan.ID.String(), f.Policy, f.Rule, f.Side, f.Path.String()))
	key := hex.EncodeToString(sum[:16])
	l.seen[key]++
	return fmt.Sprintf("%s:%d", key, l.seen[key])
}

// suppression has all that the format allows: the library writes what is missing
// as null, which the format does not.
func suppression(e *policies.Exception) *sarif.Suppression {
	why := clean(e.Reason) + " (until " + e.Expires.Format("2006-01-02") + ")"
	at := physicalRange(e.Range)
	id := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s:%d %s", e.Range.Filename, e.Range.Start.Byte, e.Reason)).String()
	return sarif.NewSuppression("external").WithStatus("accepted").WithJustifcation(why).WithGuid(id).
		WithLocation(sarif.NewLocation().WithPhysicalLocation(at))
}

func physicalRange(r hcl.Range) *sarif.PhysicalLocation {
	return place{file: r.Filename, line: r.Start.Line, endLine: r.End.Line}.physical()
}

// invocation says what kept the check from telling everything.
func (l *log) invocation(c Check) *sarif.Invocation {
	out := &sarif.Invocation{ExecutionSuccessful: new(true)}
	note := func(level, text string, at *sarif.PhysicalLocation) {
		n := &sarif.Notification{Level: level, Message: sarif.NewTextMessage(text)}
		if at != nil {
			n.Locations = []*sarif.Location{sarif.NewLocation().WithPhysicalLocation(at)}
		}
		out.ToolExecutionNotifications = append(out.ToolExecutionNotifications, n)
	}
	for _, d := range sortedDiagnostics(c.Diagnostics) {
		var at *sarif.PhysicalLocation
		if d.Subject != nil {
			at = physicalRange(*d.Subject)
		}
		level := "warning"
		if d.Severity == hcl.DiagError {
			level, out.ExecutionSuccessful = "error", new(false)
		}
		note(level, sentences(d), at)
	}
	for _, plan := range c.Plans {
		if plan.Hold == nil || explained(plan, c.Diagnostics) {
			continue
		}
		var at *sarif.PhysicalLocation
		if plan.File != "" {
			at = place{file: plan.File}.physical()
		}
		out.ExecutionSuccessful = new(false)
		note("error", held(plan), at)
	}
	for _, d := range c.Exceptions {
		note("note", d.sentence(), physicalRange(d.Range))
	}
	return out
}

// held is "web is held: why; next: what to do".
func held(plan reconcile.Plan) string {
	return clean(fmt.Sprintf("%s is held: %s; next: %s", plan.ID, plan.Hold.Reason, plan.Hold.Next), plan.ID.String(), plan.ID.Name)
}

// explained: a mistake in the job's file says more of the hold than the hold.
func explained(plan reconcile.Plan, diags hcl.Diagnostics) bool {
	return slices.ContainsFunc(diags, func(d *hcl.Diagnostic) bool {
		return d.Severity == hcl.DiagError && d.Subject != nil && d.Subject.Filename == plan.File
	})
}

// sentences are a diagnostic in one line.
func sentences(d *hcl.Diagnostic) string {
	return clean(strings.TrimSuffix(d.Summary, ".") + ". " + d.Detail)
}

func (d Due) sentence() string {
	return clean(fmt.Sprintf("The exception of %s %s: %s", d.Policy, d.ends(), d.Reason))
}
