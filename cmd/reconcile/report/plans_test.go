package report_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/job"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (go test -update writes it anew):\n%s", path, d)
	}
}

func plansText(plans []reconcile.Plan, s report.Style) string {
	var b bytes.Buffer
	report.Plans(&b, plans, s)
	return b.String()
}

func TestPlans(t *testing.T) {
	t.Parallel()
	runbook := append([]reconcile.Plan{orchestrator(t)}, inSync("api", "web")...)
	tests := []struct {
		name  string
		plans []reconcile.Plan
		style report.Style
	}{
		{"runbook-80", runbook, report.Style{Width: 80}},
		{"runbook-140", runbook, report.Style{Width: 140}},
		{"runbook-color", runbook, report.Style{Width: 80, Color: true}},
		{"unlimited-applying", runbook, report.Style{Applying: true}},
		{"columns", columns(t), report.Style{Width: 80}},
		{"conditions", conditions(t), report.Style{Width: 100}},
		{"secrets", secrets(t), report.Style{Width: 100}},
		{"values", values(), report.Style{Width: 80}},
		{"empty", nil, report.Style{Width: 80}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			golden(t, tt.name, plansText(tt.plans, tt.style))
		})
	}
}

// Every line fits its width, but for what must stay whole: lines of files.
func TestWidth(t *testing.T) {
	t.Parallel()
	for _, width := range []int{80, 140} {
		for _, plans := range [][]reconcile.Plan{{orchestrator(t)}, columns(t), conditions(t), values()} {
			file := false
			for line := range strings.SplitSeq(plansText(plans, report.Style{Width: width}), "\n") {
				if line != "" && !strings.HasPrefix(line, "    ") {
					file = line == "  File:"
				}
				if file {
					continue
				}
				if n := runeCells(line); n > width {
					t.Errorf("%d columns, want at most %d: %s", n, width, line)
				}
			}
		}
	}
}

// runeCells counts wide characters as two, the rest as one: what the fixtures need.
func runeCells(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r >= 0x2e80 && r <= 0xffef {
			n++
		}
	}
	return n
}

// Without colour no escape sequence, whatever a file or a log holds.
func TestNoEscapes(t *testing.T) {
	t.Parallel()
	p := orchestrator(t)
	p.Reason = "\x1b[2J\x07"
	p.Findings[0].Source = "    args    = [\"-E\", \"\x1b]0;title\x07\"]"
	p.FileDiff += "+\x1b[2J\n+\u202egpj.exe\n"
	p.Live.Failure.Stderr = []string{"\x1b[31mred\x1b[0m\r"}
	p.LiveDiff[0].After = cty.StringVal("a\x1b[5m\nb\x07\n")
	got := plansText([]reconcile.Plan{p}, report.Style{Width: 100})
	if i := strings.IndexFunc(got, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f || r == 0x202e }); i >= 0 {
		t.Errorf("a control character in %q", got[max(0, i-30):i+10])
	}
	if !strings.Contains(got, `\u001b[2J`) {
		t.Errorf("the sequence is not shown:\n%s", got)
	}
}

// The carets stand under the literal, whatever is before it.
func TestCaret(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, src, literal string }{
		{"spaces", `    args = ["-E", "x"]`, `"-E"`},
		{"tabs", "\t\targs\t= [\"-E\", \"x\"]", `"-E"`},
		{"wide", `    args = ["启动脚本", "-E", "x"] # 保留环境`, `"-E"`},
		{"wide itself", `    args = ["启动脚本", "x"]`, `"启动脚本"`},
		{"combining", "    args = [\"e\u0301a\u0308\", \"-E\"]", `"-E"`},
		{"emoji", "    args = [\"👩‍💻🚀\", \"-E\"]", `"-E"`},
		{"CRLF", "    args = [\"-E\", \"x\"]\r\n", `"-E"`},
		{"after a secret", `    args = ["--token", "planted", "-E"]`, `"-E"`},
		{"end of a long line", `    args = ["` + strings.Repeat("很长的参数", 30) + `", "-E"]`, `"-E"`},
		{"start of a long line", `    args = ["-E", "` + strings.Repeat("很长的参数", 30) + `"]`, `"-E"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := reconcile.Plan{ID: id("web"), Condition: reconcile.OutOfSync, Findings: []reconcile.Finding{finding(t, "web.hcl", tt.src, tt.literal)}}
			lines := strings.Split(plansText([]reconcile.Plan{p}, report.Style{Width: 80}), "\n")
			for i, line := range lines {
				if !strings.Contains(line, "^") {
					continue
				}
				if under := columnsUnder(lines[i-1], line); under != tt.literal {
					t.Errorf("under the carets stands %q, want %q:\n%s\n%s", under, tt.literal, lines[i-1], line)
				}
				return
			}
			t.Errorf("no carets:\n%s", strings.Join(lines, "\n"))
		})
	}
}

// columnsUnder is the part of line that the carets point at.
func columnsUnder(line, carets string) string {
	from, to := strings.Index(carets, "^"), len(carets)
	var b strings.Builder
	at := 0
	for _, r := range line {
		if at >= from && at < to {
			b.WriteRune(r)
		}
		switch {
		case r == 0x200d, r == 0x301, r == 0x308:
		case r == '💻': // joined to the one before it
		case r >= 0x2e80:
			at += 2
		default:
			at++
		}
	}
	return b.String()
}

// Whatever range a finding has, it is shown.
func TestOddRanges(t *testing.T) {
	t.Parallel()
	pos := func(line, column int) hcl.Pos { return hcl.Pos{Line: line, Column: column} }
	for _, source := range []string{"", "x", "\xff\xfe", "\u0301", "\t", "token = \"x\""} {
		for _, rng := range []hcl.Range{{}, {Start: pos(1, 99), End: pos(1, 200)}, {Start: pos(1, 5), End: pos(1, 2)}, {Start: pos(2, 1), End: pos(1, 1)}, {Start: pos(1, -3)}, {Start: pos(1, 1), End: pos(9, 9)}} {
			p := reconcile.Plan{ID: id("odd"), Findings: []reconcile.Finding{{Range: rng, Source: source, Finding: policies.Finding{Message: "m"}}}}
			for _, width := range []int{0, 1, 80} {
				if got := plansText([]reconcile.Plan{p}, report.Style{Width: width}); !strings.Contains(got, "        m\n") {
					t.Errorf("%q %v at %d:\n%s", source, rng, width, got)
				}
			}
		}
	}
}

// columns are the sources in which columns are hard to count.
func columns(t *testing.T) []reconcile.Plan {
	tabs := "job \"tabs\" {\r\n\tgroup \"g\" {\r\n\t\ttask \"t\" {\r\n\t\t\tconfig {\r\n\t\t\t\targs\t= [\"-E\", \"run.sh\"]\r\n\t\t\t}\r\n\t\t}\r\n\t}\r\n}\r\n"
	chinese := "job \"沙箱\" {\n  group \"主组\" {\n    task \"任务\" {\n      config {\n        args = [\"启动脚本\", \"-E\", \"" + strings.Repeat("编排服务", 12) + "\"] # 保留环境\n      }\n    }\n  }\n}\n"
	var out []reconcile.Plan
	for _, f := range []struct{ name, file, src string }{{"tabs", "jobs/tabs.nomad", tabs}, {"沙箱", "jobs/沙箱/编排.hcl", chinese}} {
		found := finding(t, f.file, f.src, `"-E"`)
		found.Message = "sudo 被要求保留调用者的环境（-E），而 sudoers 不允许这样做，因为环境变量已经在 Nomad job 的 env 块中设置了"
		found.Edits = []job.Edit{{}}
		out = append(out, reconcile.Plan{
			ID: id(f.name), File: f.file, Condition: reconcile.OutOfSync, Reason: "1 to fix in the file",
			Findings: []reconcile.Finding{found}, Actions: []reconcile.Action{reconcile.EditFile},
			FileDiff: diffOf(f.file, f.src, strings.Replace(f.src, `"-E", `, "", 1)),
		})
	}
	return out
}

// conditions are plans of all conditions.
func conditions(t *testing.T) []reconcile.Plan {
	src := "job \"web\" {\n  group \"g\" {\n    task \"t\" {\n      config {\n        image = \"web:latest\"\n      }\n    }\n  }\n}\n"
	denied := finding(t, "jobs/web.hcl", src, `"web:latest"`)
	denied.Policy, denied.Rule, denied.Message, denied.Fix = "images", "rule.image-pinned", "task t runs web:latest: pin a version", false
	warned := denied
	warned.Enforce, warned.Rule, warned.Message = policies.Warn, "env.block", "task t has no env block"
	warned.Range = rangeOf(t, "jobs/web.hcl", src, "task")
	warned.Range.End.Line += 3 // a range of several lines
	warned.Source = `    task "t" {`
	onlyLive := reconcile.Finding{Finding: denied.Finding}
	onlyLive.Side, onlyLive.Path = policies.LiveSide, taskPath().Attr("config").Attr("image")
	drift := []reconcile.Change{
		{Difference: job.Difference{Path: argsPath(), Before: strs("-E", startScript), After: strs(startScript)}, Finding: true},
		{Difference: job.Difference{Path: job.Path{}.Block("group", "orchestrator").Attr("count"), Before: cty.NumberIntVal(1), After: cty.NumberIntVal(2)}, Stays: true},
	}
	healthy := &reconcile.LiveState{Version: 7, Status: "running", Healthy: true, Allocations: map[string]int{"running": 2}}
	update := policies.Rollout{Strategy: policies.Update, OnFailure: policies.Rollback}
	register, edit := []reconcile.Action{reconcile.Register}, []reconcile.Action{reconcile.EditFile, reconcile.Register}
	plans := []reconcile.Plan{
		{ID: id("web"), File: "jobs/web.hcl", Condition: reconcile.Denied, Reason: "forbidden by images rule.image-pinned", Findings: []reconcile.Finding{denied, warned, onlyLive}, Live: healthy, Left: []string{"the file has findings that forbid and cannot be fixed: nothing is registered from it"}},
		{ID: id("child"), Condition: reconcile.Held, Reason: "it is a child of nightly", Hold: &reconcile.Hold{Reason: "it is a child of nightly", Next: "put the policy on the parent: children are launched from it"}},
		{ID: id("both"), Condition: reconcile.Held, Reason: "two files, one job: jobs/a-folder-with-a-long-name/both.hcl, jobs/another-folder-with-a-long-name/both.hcl", Hold: &reconcile.Hold{Reason: "two files, one job: jobs/a.hcl, jobs/b.hcl", Next: "keep one of them, or `exclude` the others in the source block"}},
		{ID: id("crashed"), Condition: reconcile.Converging, Reason: "run 7 has not ended", Hold: &reconcile.Hold{Reason: "run 7 has not ended", Next: "reconcile apply   (settles it first: finishes or undoes it)"}},
		{ID: id("drifting"), File: "jobs/drifting.hcl", Condition: reconcile.OutOfSync, Reason: "1 to fix in the live job, 1 differ between file and live job", LiveDiff: drift, Live: healthy, Actions: register, Rollout: update, Left: []string{"drift stays as it is: reconcile apply -correct-drift drifting"}},
		{ID: id("reported"), File: "jobs/reported.hcl", Condition: reconcile.OutOfSync, Reason: "1 differ between file and live job", LiveDiff: drift[1:], Live: healthy, Left: []string{"drift stays as it is: reconcile apply -correct-drift reported"}},
		{ID: id("healthy"), File: "jobs/healthy.hcl", Condition: reconcile.OutOfSync, Reason: "1 to fix in the file", FileDiff: diffOf("jobs/healthy.hcl", "a\n", "b\n"), Live: healthy, Actions: edit, Rollout: update, Notes: []string{"this revision failed already in run 12: gate logs no-sudo-errors: a line matches ^sudo: "}},
		{ID: id("kept"), File: "jobs/kept.hcl", Condition: reconcile.OutOfSync, Reason: "1 to fix in the file", Live: healthy, Actions: register, Rollout: policies.Rollout{OnFailure: policies.Keep, Deadline: 90 * time.Second}},
		{ID: id("absent"), File: "jobs/absent.hcl", Condition: reconcile.OutOfSync, Reason: "Nomad does not know it", Actions: register, Rollout: update},
		{ID: id("unknown"), File: "jobs/unknown.hcl", Condition: reconcile.OutOfSync, Reason: "Nomad does not know it", Left: []string{"Nomad does not know it; sync.create is \"report\": reconcile apply unknown"}},
		{ID: id("stopped"), File: "jobs/stopped.hcl", Condition: reconcile.InSync, Reason: "stopped by an operator", Live: &reconcile.LiveState{Version: 4, Status: "dead", Stopped: true}, Left: []string{"an operator stopped it: reconcile apply -start stopped"}},
		{ID: id("started"), File: "jobs/started.hcl", Condition: reconcile.OutOfSync, Reason: "file and live job differ", Live: &reconcile.LiveState{Version: 4, Stopped: true}, Actions: register, Rollout: policies.Rollout{Strategy: policies.Restart, OnFailure: policies.Rollback}},
		{ID: job.ID{Namespace: "prod", Name: "sick"}, File: "jobs/sick.hcl", Condition: reconcile.Degraded, Reason: "1 of 2 allocations are placed", Live: &reconcile.LiveState{Version: 1, Status: "running", Why: "1 of 2 allocations are placed", Allocations: map[string]int{"running": 1, "pending": 0}}},
		{ID: id("gone"), Condition: reconcile.Orphan, Reason: "its job file is gone", Live: healthy, Actions: []reconcile.Action{reconcile.Stop}, Rollout: update},
		{ID: id("broken"), Condition: reconcile.Failed, Reason: "run 8 failed: gate deployment: unhealthy"},
		warnedPlan(),
	}
	for i := range 12 {
		plans = append(plans, inSync(fmt.Sprintf("fine-%d", i))...)
	}
	return plans
}

// warnedPlan is in sync, and its file has a warning.
func warnedPlan() reconcile.Plan {
	src := []byte("job \"odd\" {\n  datacenter = \"dc1\"\n}\n")
	return reconcile.Plan{
		ID: id("odd"), File: "jobs/odd.hcl", Condition: reconcile.InSync, Live: &reconcile.LiveState{Healthy: true, Status: "running"},
		Sources: map[string]*hcl.File{"jobs/odd.hcl": {Bytes: src}},
		Warnings: hcl.Diagnostics{{Severity: hcl.DiagWarning, Summary: "Deprecated attribute", Detail: "Did you mean datacenters?",
			Subject: &hcl.Range{Filename: "jobs/odd.hcl", Start: hcl.Pos{Line: 2, Column: 3, Byte: 14}, End: hcl.Pos{Line: 2, Column: 13, Byte: 24}}}},
	}
}

// values are differences of every kind.
func values() []reconcile.Plan {
	data := func(level string) string {
		return "# 配置\n" + strings.Repeat("line\n", 6) + "level = " + level + "\n\tindented\n"
	}
	long := strings.Repeat("很长的值 ", 30)
	diff := func(p job.Path, before, after cty.Value) reconcile.Change {
		return reconcile.Change{Difference: job.Difference{Path: p, Before: before, After: after}}
	}
	task := taskPath()
	template := task.Elem("template", 0).Attr("data")
	p := reconcile.Plan{ID: id("values"), Condition: reconcile.OutOfSync, Reason: "9 differ between file and live job", LiveDiff: []reconcile.Change{
		diff(job.Path{}.Attr("priority"), cty.NumberIntVal(50), cty.NumberIntVal(80)),
		diff(job.Path{}.Attr("all_at_once"), cty.NullVal(cty.Bool), cty.True),
		diff(task.Attr("env").Attr("名字"), cty.StringVal("编排"), cty.NullVal(cty.String)),
		diff(task.Attr("env").Attr("LONG"), cty.StringVal(long+"a"), cty.StringVal(long+"b")),
		diff(template, cty.StringVal(data("info")), cty.StringVal(data("debug"))),
		diff(template, cty.NullVal(cty.String), cty.StringVal(strings.Repeat("new line\n", 40))),
		diff(task.Attr("config").Attr("ports"), strs(), strs("http")),
		diff(task.Attr("config").Attr("mount"), cty.NullVal(cty.DynamicPseudoType), cty.ObjectVal(map[string]cty.Value{"source": cty.StringVal("/srv/data/of/this/task"), "target": cty.StringVal("/data"), "type": cty.StringVal("bind")})),
		diff(job.Path{}.Block("group", "new"), cty.NullVal(cty.String), cty.StringVal("{ ... }")),
		diff(job.Path{}.Attr("odd"), cty.UnknownVal(cty.String), cty.NilVal),
	}}
	for i := range p.LiveDiff {
		p.LiveDiff[i].Stays, p.LiveDiff[i].Finding = i%2 == 0, i%4 > 1
	}
	return []reconcile.Plan{p}
}
