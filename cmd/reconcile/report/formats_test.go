package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/job"
)

// checked has one of everything that a check can find.
func checked(t *testing.T) report.Check {
	plan := orchestrator(t)
	fixed := plan.Findings[0]
	warned := finding(t, plan.File, orchestratorFile, `"sudo"`)
	warned.Policy, warned.Rule, warned.Enforce, warned.Fix = "images", "rule.command", policies.Warn, false
	warned.Path, warned.Message = taskPath().Attr("config").Attr("command"), "100% of 编排服务: use a path, not a name,\nso that nobody has to look it up"
	denied := warned
	denied.Enforce, denied.Message = policies.Deny, "denied"
	waived := denied
	waived.Exception = new(exception("2027-03-31", "moves to the new registry in Q1"))
	plan.Findings = append(plan.Findings, warned, denied, waived, warned)
	other := reconcile.Plan{ID: id("other"), File: "jobs/other.hcl", Condition: reconcile.Held, Hold: &reconcile.Hold{Reason: "two files, one job: a, b", Next: "keep one of them"}}
	held := reconcile.Plan{
		ID: job.ID{Namespace: "prod", Name: "held"}, File: "jobs/a file, 新.hcl", Condition: reconcile.Held,
		Hold: &reconcile.Hold{Reason: "jobs/a file, 新.hcl:3:5: Unsupported argument", Next: "mend the file"},
	}
	gone := fixed
	gone.Edits, gone.Rule, gone.Policy = nil, "exception.expired", "gone"
	unknown := reconcile.Plan{ID: id("absolute"), File: "/srv/jobs/b.hcl", Condition: reconcile.Denied, Findings: []reconcile.Finding{gone}}
	unknown.Findings[0].File = unknown.File
	return report.Check{
		Plans: append([]reconcile.Plan{plan, held, other, unknown}, inSync("api")...), Exceptions: ending(), Side: policies.FileSide, FailOn: policies.Deny, Version: "1.2.3",
		Diagnostics: hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Unsupported argument", Detail: "An argument named \"arg\" is not expected here.",
			Subject: &hcl.Range{Filename: held.File, Start: hcl.Pos{Line: 3, Column: 5, Byte: 20}, End: hcl.Pos{Line: 3, Column: 8, Byte: 23}}}},
		Policies: []policies.Info{
			{Name: "orchestrator-env", Description: "The env block is the environment.", Why: "sudo refuses -E.", Rules: []policies.RuleInfo{{ID: "sudo.preserve_env", Scope: "task", Enforce: policies.Deny, Fix: true}}},
			{Name: "images", Rules: []policies.RuleInfo{{ID: "rule.command", Description: "Commands are paths.", Assert: `startswith(task.config.command, "/")`, Enforce: policies.Warn}, {ID: "rule.silent", Enforce: policies.Warn}}},
		},
	}
}

func live(t *testing.T) report.Check {
	c := checked(t)
	c.Side, c.Diagnostics, c.Exceptions, c.FailOn = policies.LiveSide, nil, nil, policies.Warn
	c.Plans = c.Plans[:1]
	c.Plans[0].File, c.Plans[0].FileDiff = "", ""
	return c
}

// The documents whole.
func TestFormats(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		write func(io.Writer, report.Check) error
	}{{"sarif", report.ChecksSARIF}, {"junit", report.ChecksJUnit}, {"github", report.ChecksGitHub}}
	for _, tt := range tests {
		for name, c := range map[string]report.Check{"check-" + tt.name: checked(t), "live-" + tt.name: live(t), "empty-" + tt.name: {Side: policies.FileSide}} {
			var b bytes.Buffer
			if err := tt.write(&b, c); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.String())
			if err := tt.write(broken{}, c); !errors.Is(err, errBroken) {
				t.Errorf("writing to a broken pipe: %v", err)
			}
		}
	}
}

// OASIS's own schema of SARIF 2.1.0 finds nothing wrong.
func TestSARIFIsValid(t *testing.T) {
	t.Parallel()
	schema, err := jsonschema.NewCompiler().Compile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	validate := func(text io.Reader) error {
		doc, err := jsonschema.UnmarshalJSON(text)
		if err != nil {
			return err
		}
		return schema.Validate(doc)
	}
	for name, c := range map[string]report.Check{"file": checked(t), "live": live(t), "empty": {Side: policies.FileSide}} {
		var b bytes.Buffer
		if err := report.ChecksSARIF(&b, c); err != nil {
			t.Fatal(err)
		}
		if err := validate(&b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if validate(strings.NewReader(`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"results":[{"message":{"text":"m"},"level":"deny"}]}]}`)) == nil {
		t.Error("a level that there is not is taken")
	}
}

// The fingerprint is the same when lines move, and another for another job.
func TestFingerprints(t *testing.T) {
	t.Parallel()
	prints := func(c report.Check) string {
		var b bytes.Buffer
		if err := report.ChecksSARIF(&b, c); err != nil {
			t.Fatal(err)
		}
		var out []string
		for line := range strings.SplitSeq(b.String(), "\n") {
			if strings.Contains(line, "reconcileFinding/v1") {
				out = append(out, strings.TrimSpace(line))
			}
		}
		return strings.Join(out, "\n")
	}
	before := prints(checked(t))
	moved := checked(t)
	for i := range moved.Plans[0].Findings {
		moved.Plans[0].Findings[i].Range.Start.Line += 7
		moved.Plans[0].Findings[i].Range.End.Line += 7
	}
	if after := prints(moved); after != before {
		t.Errorf("lines that move change\n%s\nto\n%s", before, after)
	}
	other := checked(t)
	other.Plans[0].ID.Namespace = "prod"
	if prints(other) == before {
		t.Error("a job of another namespace has the same")
	}
	lines := strings.Split(before, "\n")
	for i, l := range lines {
		for _, other := range lines[i+1:] {
			if strings.TrimSuffix(l, ",") == strings.TrimSuffix(other, ",") {
				t.Errorf("two findings have %s", l)
			}
		}
	}
}

// XML stays XML, whatever is in a message.
func TestJUnitParses(t *testing.T) {
	t.Parallel()
	c := checked(t)
	c.Plans[0].Findings[3].Message = "a <b> & \"c\" \x00\x1b ]]> \xff"
	var b bytes.Buffer
	if err := report.ChecksJUnit(&b, c); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(&b)
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// One line for each command, whatever is in names and messages.
func TestGitHubEscapes(t *testing.T) {
	t.Parallel()
	c := checked(t)
	f := c.Plans[0].Findings[0]
	f.File, f.Policy, f.Message = "jobs/a,b:c%.hcl", "p::error", "100%\r\n::error::x"
	c = report.Check{Plans: []reconcile.Plan{{ID: id("a"), Findings: []reconcile.Finding{f}}}, Side: policies.FileSide}
	var b bytes.Buffer
	if err := report.ChecksGitHub(&b, c); err != nil {
		t.Fatal(err)
	}
	want := "::error file=jobs/a%2Cb%3Ac%25.hcl,line=13,endLine=13,col=20,endColumn=24,title=p%3A%3Aerror sudo.preserve_env::100%25 ::error::x\n"
	if got, _, _ := strings.Cut(b.String(), "Check:"); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// What is printed for patch and git apply makes the file what -fix makes it,
// whatever its name, its line ends and its secrets.
func TestPatchApplies(t *testing.T) {
	t.Parallel()
	names := []string{"jobs/web.hcl", "jobs/a file.hcl", "jobs/作业.hcl"}
	texts := []string{orchestratorFile, strings.ReplaceAll(orchestratorFile, "\n", "\r\n"), strings.TrimSuffix(orchestratorFile, "\n"), "\ufeff" + orchestratorFile}
	for _, tool := range [][]string{{"git", "apply"}, {"patch", "-p1", "--binary"}} {
		if _, err := exec.LookPath(tool[0]); err != nil {
			t.Logf("%s is not here", tool[0])
			continue
		}
		for _, name := range names {
			for _, before := range texts {
				after := strings.Replace(before, `"-E", `, "", 1)
				dir := t.TempDir()
				path := filepath.Join(dir, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(before), 0o644)); err != nil {
					t.Fatal(err)
				}
				var b bytes.Buffer
				if err := report.Patch(&b, []reconcile.Plan{{File: name, FileDiff: diffOf(name, before, after)}, {File: "no.hcl"}}, report.Style{}); err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command(tool[0], tool[1:]...)
				cmd.Dir, cmd.Stdin = dir, &b
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v with %s: %v\n%s", tool, name, err, out)
					continue
				}
				if got, _ := os.ReadFile(path); string(got) != after {
					t.Errorf("%v made %s into %q, want %q", tool, name, got, after)
				}
			}
		}
	}
}
