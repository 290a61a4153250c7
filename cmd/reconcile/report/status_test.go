package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

var now = start.Add(40 * time.Second)

// statuses are one of each condition.
func statuses() []controller.Status {
	basis := history.Basis{File: "a", Vars: "b", Policies: strings.Repeat("c0ffee", 10)}
	past := runs()
	version := new(uint64(4))
	return []controller.Status{
		{ID: id("api"), File: "jobs/api.hcl", Condition: reconcile.InSync, Since: now.Add(-72 * time.Hour), Revision: basis, Version: version, LastRun: &past[0]},
		{ID: id("batch"), File: "jobs/batch.hcl", Condition: reconcile.OutOfSync, Reason: "2 places differ between file and live job, and no policy speaks of them", Next: []string{"drift stays as it is: reconcile apply -correct-drift batch"}, Since: now.Add(-2 * time.Hour), Version: version, Queued: true},
		{ID: id("broken"), File: "jobs/broken.hcl", Condition: reconcile.Failed, Reason: past[2].Reason, Next: []string{"look at the job, then: reconcile apply broken"}, Since: now.Add(-3 * time.Hour), Revision: basis, Version: version, LastRun: &past[2]},
		{ID: id("cut"), Condition: reconcile.Converging, Reason: "run 4 has not ended", Since: now.Add(-20 * time.Second), Version: version, LastRun: &past[3], Running: true},
		{ID: id("images"), File: "jobs/images.hcl", Condition: reconcile.Denied, Reason: "1 finding forbids it and cannot be fixed", Next: []string{"reconcile plan images   (shows the findings)"}, Since: now.Add(-time.Minute), Findings: 1},
		{ID: id("old"), Source: "nomad:default/old", Condition: reconcile.Degraded, Reason: "allocation 06b36305 is failed", Next: []string{"reconcile doctor old   (says why)"}, Version: version},
		{ID: id("removed"), Condition: reconcile.Orphan, Reason: "its job file is gone", Next: []string{`its file is gone; sync.prune is "report": nomad job stop removed`}, Version: version},
		{ID: job.ID{Namespace: "prod", Name: "沙箱"}, File: "jobs/沙箱.hcl", Condition: reconcile.Held, Reason: "这个版本已经在运行 20260203T083000Z-7 中失败：日志里出现了不允许的行，请修改文件或者策略；password=planted", Next: []string{"change the file or the policies, or try it once more: reconcile apply 沙箱@prod"}, Since: now.Add(-26 * time.Hour), Revision: basis, Version: version, LastRun: &past[1]},
	}
}

func overview() controller.Overview {
	return controller.Overview{
		Serial: 9, Started: now.Add(-75 * time.Hour), Ready: true, Passed: now.Add(-12 * time.Second),
		Config: "3f2a9c1ed00d", Loaded: now.Add(-2 * time.Hour), Known: 8, Jobs: statuses(),
	}
}

func inTrouble() controller.Overview {
	o := overview()
	o.Ready, o.Passed, o.Left = false, time.Time{}, 3
	o.LoadErr = "reconcile.hcl, a policy or a variable file has mistakes; they are printed above"
	o.NomadErr = "listing jobs: http://127.0.0.1:4646 does not answer: token=planted connection refused"
	o.FilesErr = []string{"reading the job files 任务: no such file or directory"}
	o.Polling = []string{"/mnt/nfs/jobs"}
	o.Calm, o.Waiting = now.Add(95*time.Minute), 3
	o.Jobs = o.Jobs[:1]
	return o
}

func many() controller.Overview {
	o := overview()
	for _, name := range strings.Fields("b c d e f g h i j k l") {
		o.Jobs = append(o.Jobs, controller.Status{ID: id(name), Condition: reconcile.InSync})
	}
	o.Jobs = append(o.Jobs, controller.Status{ID: id("a-very-long-name/that-somebody-has-given/to-a-job-of-theirs"), Condition: reconcile.OutOfSync, Reason: "Nomad does not know it"})
	return o
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		doc   report.Status
		all   bool
		style report.Style
	}{
		"status-80":      {report.StatusOf(overview()), false, report.Style{Width: 80}},
		"status-140":     {report.StatusOf(overview()), false, report.Style{Width: 140}},
		"status-color":   {report.StatusOf(overview()), false, report.Style{Width: 140, Color: true}},
		"status-plain":   {report.StatusOf(overview()), false, report.Style{}},
		"status-trouble": {report.StatusOf(inTrouble()), false, report.Style{Width: 80}},
		"status-many":    {report.StatusOf(many()), false, report.Style{Width: 120}},
		"status-all":     {report.StatusOf(many()), true, report.Style{Width: 120}},
		"status-alone":   {report.StatusAlone(statuses()[:2]), false, report.Style{Width: 80}},
		"status-early":   {report.StatusOf(controller.Overview{Started: now, Known: 40, Left: 40}), false, report.Style{Width: 80}},
		"status-none":    {report.StatusAlone(nil), false, report.Style{Width: 80}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			report.StatusText(&b, tt.doc, tt.all, now, tt.style)
			golden(t, name, b.String())
			for line := range strings.Lines(b.String()) {
				if n := wideAs(strings.TrimSuffix(line, "\n")); tt.style.Width > 0 && !tt.style.Color && n > tt.style.Width {
					t.Errorf("%d columns: %s", n, line)
				}
			}
			if strings.Contains(b.String(), "planted") {
				t.Error("a secret is shown")
			}
		})
	}
}

// jobStatus is the page of the job of the runbook.
func jobStatus(t *testing.T) report.JobStatus {
	plan := orchestrator(t)
	s := controller.StatusOf(plan, runs()[:1])
	s.Since, s.Looked, s.Queued = now.Add(-3*time.Minute), now.Add(-2*time.Second), true
	s.Revision = history.Basis{File: "a", Policies: "c0ffeec0ffee"}
	return report.JobStatusOf(s, &plan, runs()[:2])
}

func TestJobStatus(t *testing.T) {
	t.Parallel()
	quiet := report.JobStatusOf(statuses()[0], nil, runs()[:1])
	held := report.JobStatusOf(statuses()[7], nil, nil)
	for name, tt := range map[string]struct {
		doc   report.Status
		one   report.JobStatus
		style report.Style
	}{
		"job-status-80":    {report.StatusOf(overview()), jobStatus(t), report.Style{Width: 80}},
		"job-status-140":   {report.StatusOf(overview()), jobStatus(t), report.Style{Width: 140}},
		"job-status-color": {report.StatusOf(overview()), jobStatus(t), report.Style{Width: 80, Color: true}},
		"job-status-quiet": {report.StatusAlone(nil), quiet, report.Style{Width: 80}},
		"job-status-held":  {report.StatusOf(overview()), held, report.Style{Width: 80}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			report.JobStatusText(&b, tt.doc, tt.one, now, tt.style)
			golden(t, name, b.String())
		})
	}
}

// What comes over the socket is shown as what is made here.
func TestStatusThroughJSON(t *testing.T) {
	t.Parallel()
	doc, one := report.StatusOf(inTrouble()), jobStatus(t)
	var text, again bytes.Buffer
	report.StatusText(&text, doc, true, now, report.Style{})
	report.JobStatusText(&text, doc, one, now, report.Style{})
	var b bytes.Buffer
	var doc2 report.Status
	var one2 report.JobStatus
	if err := report.StatusJSON(&b, doc); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b.Bytes(), &doc2); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if err := report.JobStatusJSON(&b, one); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b.Bytes(), &one2); err != nil {
		t.Fatal(err)
	}
	report.StatusText(&again, doc2, true, now, report.Style{})
	report.JobStatusText(&again, doc2, one2, now, report.Style{})
	if d := cmp.Diff(text.String(), again.String()); d != "" {
		t.Error(d)
	}
}

func TestStatusJSON(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	o := inTrouble()
	o.Jobs = append(statuses()[7:], statuses()[2:4]...)
	for _, err := range []error{
		report.StatusJSON(&b, report.StatusOf(o)), report.StatusJSON(&b, report.StatusAlone(nil)),
		report.JobStatusJSON(&b, jobStatus(t)), report.QueuedJSON(&b, 3),
		report.ProblemJSON(&b, "there is nothing at /<x>?token=planted", "ask for /v1/status"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "status-json", b.String())
}

func TestStatusChanges(t *testing.T) {
	t.Parallel()
	first, second := report.StatusOf(overview()), report.StatusOf(overview())
	second.Jobs = second.Jobs[1:]
	second.Jobs[0].Condition, second.Jobs[0].Reason, second.Jobs[0].Next, second.Jobs[0].Queued = reconcile.InSync, "", nil, false
	second.Jobs[3].Condition = reconcile.OutOfSync
	second.Jobs[1].Reason = "another"
	var b bytes.Buffer
	report.StatusChanges(&b, nil, first, report.Style{})
	b.WriteString("--\n")
	report.StatusChanges(&b, &first, second, report.Style{Color: true})
	b.WriteString("--\n")
	report.StatusChanges(&b, &second, first, report.Style{})
	report.StatusChanges(&b, &first, first, report.Style{})
	golden(t, "status-changes", b.String())
}

func TestOnly(t *testing.T) {
	t.Parallel()
	got := report.StatusOf(overview()).Only(func(j report.StatusJob) bool { return j.Condition == reconcile.Held })
	if len(got.Jobs) != 1 || got.Summary.Held != 1 || got.Summary.InSync != 0 || got.Agent == nil {
		t.Errorf("%+v", got)
	}
}
