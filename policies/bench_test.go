package policies_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/jobspec/jobspectest"
)

// tenPolicies are what a company may have: some match every task, some one driver
// or a few jobs; most files break one or two of them.
const tenPolicies = `
policy "no-sudo-env" {
  fix = true
  sudo {
    preserve_env = false
  }
}

policy "no-sudo-env-on-prod" {
  match {
    job    = ["billing-*", "orders-*"]
    driver = ["raw_exec", "exec"]
  }
  sudo {
    preserve_env = false
  }
}

policy "no-cloud-keys" {
  env {
    forbidden = ["AWS_SECRET_*", "*_PASSWORD"]
  }
}

policy "docker-log-level" {
  fix = true
  match {
    driver = ["docker"]
    type   = ["service"]
  }
  env {
    matching = { LOG_LEVEL = "^(debug|info|warn|error)$" }
  }
}

policy "java-has-env" {
  enforce = "warn"
  match {
    driver = ["java"]
  }
  env {
    block = "required"
  }
}

policy "otel-name" {
  enforce = "warn"
  fix     = true
  match {
    job  = ["gateway-*"]
    task = ["app"]
  }
  env {
    values = { OTEL_SERVICE_NAME = job.id }
  }
}

policy "important-batch" {
  match {
    type = ["batch", "sysbatch"]
    when = job.priority >= 70 && length(job.datacenters) > 1
  }
  env {
    required = ["APP_MODE"]
  }
}

policy "owned" {
  match {
    meta      = { owner = "blue*" }
    lifecycle = ["main"]
  }
  env {
    forbidden = ["FEATURE_MODE"]
  }
}

policy "default-timeout" {
  fix = true
  match {
    job    = ["auth-*", "cache-*"]
    driver = ["docker", "java"]
  }
  env {
    defaults = { HTTP_TIMEOUT = "10s" }
  }
}

policy "system-mode" {
  match {
    type      = ["system"]
    namespace = ["default", "prod-*"]
  }
  env {
    matching = { APP_MODE = "^[a-z0-9/:.-]+$" }
  }
}
`

// checker is parse, evaluate and check; it counts the findings of all jobs.
func checker(tb testing.TB) (check func(jobspectest.File) (findings int, err error)) {
	set := load(tb, tenPolicies)
	if n := len(set.Policies()); n != 10 {
		tb.Fatalf("%d policies", n)
	}
	return func(f jobspectest.File) (int, error) {
		file, diags := jobspec.Parse(f.Name, f.Bytes, jobspec.Inputs{})
		if diags.HasErrors() {
			return 0, diags
		}
		v, diags := set.Check(policies.FileSide, file.Job, nil)
		if diags.HasErrors() {
			return 0, diags
		}
		return len(v.Findings), nil
	}
}

// What the benchmark measures is work: the policies find something in a fair part
// of the files, and in every one with a sudo task that keeps its environment.
func TestTenPoliciesFindSomething(t *testing.T) {
	t.Parallel()
	check := checker(t)
	files, broken := jobspectest.Generate(500), 0
	for _, f := range files {
		n, err := check(f)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if n > 0 {
			broken++
		} else if f.Sudo {
			t.Errorf("nothing was found in %s", f.Name)
		}
	}
	if broken < len(files)/4 || broken > len(files)*3/4 {
		t.Errorf("%d of %d files break a policy", broken, len(files))
	}
}

// BenchmarkCheck holds parse, evaluation and check of ten policies against the
// parse of the HCL alone: on one goroutine the CPU, on two the time that passes,
// with the setting of the garbage collector that a short-lived check can afford.
// The floor is always one goroutine with Go's own setting.
func BenchmarkCheck(b *testing.B) {
	b.Run("goroutines=1", func(b *testing.B) {
		r := measureCheck(b, &jobspectest.Meter{Goroutines: 1})
		b.ReportMetric(r.CPU.Median, "x-floor-cpu")
		b.Logf("parse + evaluate + check of ten policies, one goroutine: CPU %s of the floor\na file: %s\nfloor:  %s", r.CPU, r.Work, r.Floor)
	})
	b.Run("goroutines=2", func(b *testing.B) {
		r := measureCheck(b, &jobspectest.Meter{Goroutines: 2, GCPercent: 1000})
		b.ReportMetric(r.Wall.Median, "x-floor-wall")
		b.Logf("the same on two goroutines, GC at 1000%%: wall %s of the floor on one\na file: %s\nfloor:  %s", r.Wall, r.Work, r.Floor)
	})
}

func measureCheck(b *testing.B, m *jobspectest.Meter) jobspectest.Result {
	m.Files = jobspectest.Generate(2000)
	check := checker(b)
	for b.Loop() {
		if err := m.Lap(func(f jobspectest.File) error { _, err := check(f); return err }); err != nil {
			b.Fatal(err)
		}
	}
	r := m.Result()
	b.ReportMetric(0, "ns/op") // of a lap, with the floor inside: says nothing
	b.ReportMetric(r.Work.Allocs, "allocs/file")
	b.ReportMetric(r.Floor.Allocs, "floor-allocs/file")
	return r
}

// fiftyPolicies are what a large company may have: forty of sudo and env blocks,
// most of them for some jobs alone, and ten with rules for all.
func fiftyPolicies() string {
	var b strings.Builder
	apps := []string{"orders", "billing", "search", "ingest", "mailer", "gateway", "reports", "auth", "cache", "etl-nightly"}
	for i, app := range apps {
		fmt.Fprintf(&b, `
policy "sudo-%[1]s" {
  fix = true
  match {
    job    = ["%[1]s-*"]
    driver = ["raw_exec", "exec"]
  }
  sudo {
    preserve_env = false
  }
}

policy "env-%[1]s" {
  enforce = "warn"
  match {
    job  = ["%[1]s-*"]
    type = ["service", "system"]
  }
  env {
    forbidden = ["AWS_SECRET_*", "*_PASSWORD"]
    matching  = { LOG_LEVEL = "^(debug|info|warn|error)$" }
  }
}

policy "name-%[1]s" {
  fix = true
  match {
    job  = ["%[1]s-*7"]
    task = ["app", "main"]
  }
  env {
    values = { OTEL_SERVICE_NAME = job.id }
  }
}

policy "all-%[2]d" {
  enforce = "warn"
  env {
    forbidden = ["OLD_%[2]d_*"]
  }
}
`, app, i)
	}
	b.WriteString(tenRules)
	return b.String()
}

const tenRules = `
locals {
  caps = { blue = 4096, red = 1024 }
}

policy "limits" {
  fix = true
  rule "memory" {
    assert = task.resources.memory <= try(local.caps[job.meta.team], 8192)
    fix {
      path  = task.resources.memory
      value = try(local.caps[job.meta.team], 8192)
    }
  }
}

policy "cpu" {
  rule "cpu" {
    assert = task.resources.cpu <= 4000 && task.resources.cpu > 0
  }
}

policy "images" {
  match {
    driver = ["docker", "podman"]
  }
  rule "pinned" {
    when    = can(task.config.image)
    assert  = matches("@sha256:|:[^:/]+$", task.config.image) && !endswith(task.config.image, ":latest")
    message = "task ${task.name} runs ${task.config.image}: pin a version"
  }
}

policy "isolation" {
  match {
    driver = ["docker", "podman"]
  }
  rule "privileged" {
    assert = !try(task.config.privileged, false) && try(task.config.network_mode, "") != "host"
  }
}

policy "owner" {
  enforce = "warn"
  match {
    type = ["service"]
  }
  rule "owner" {
    scope  = "job"
    assert = try(job.meta.owner, "") != "" || startswith(job.id, "a")
  }
}

policy "updates" {
  match {
    type = ["service"]
  }
  rule "auto-revert" {
    scope  = "group"
    assert = group.update.auto_revert
  }
}

policy "checks" {
  enforce = "warn"
  rule "group" {
    scope    = "group"
    for_each = group.service
    when     = each.value.port != ""
    assert   = length(each.value.check) > 0
  }
}

policy "secrets" {
  enforce = "warn"
  rule "name" {
    for_each = task.env
    when     = matches("(?i)(password|secret|token)$", each.key)
    assert   = matches("^$|^[$][{]", each.value)
  }
}

policy "templates" {
  rule "destination" {
    for_each = task.template
    assert   = !startswith(each.value.destination, "/")
  }
}

policy "restarts" {
  enforce = "warn"
  rule "mode" {
    scope  = "group"
    assert = group.restart.mode != "delay" || group.restart.attempts > 0
  }
}
`

// parsedFiles are generated files and their jobs.
func parsedFiles(tb testing.TB, n int) ([]jobspectest.File, map[string]*api.Job) {
	tb.Helper()
	files, jobs := jobspectest.Generate(n), map[string]*api.Job{}
	for _, f := range files {
		file, diags := jobspec.Parse(f.Name, f.Bytes, jobspec.Inputs{})
		if diags.HasErrors() {
			tb.Fatal(diags)
		}
		jobs[f.Name] = file.Job
	}
	return files, jobs
}

// What BenchmarkCheckLarge measures is work: nothing is in error, and a fair part of
// the jobs breaks something.
func TestFiftyPoliciesFindSomething(t *testing.T) {
	t.Parallel()
	set := load(t, fiftyPolicies())
	if n := len(set.Policies()); n != 50 {
		t.Fatalf("%d policies", n)
	}
	_, jobs := parsedFiles(t, 200)
	broken, fixed := 0, 0
	for _, j := range jobs {
		v := check(t, set, j)
		if len(v.Findings) > 0 {
			broken++
		}
		if len(v.Edits) > 0 {
			fixed++
		}
	}
	if broken < 50 || broken > 180 || fixed < 20 {
		t.Errorf("of %d jobs %d break a policy, %d are fixed", len(jobs), broken, fixed)
	}
	t.Logf("of %d jobs %d break a policy, %d are fixed", len(jobs), broken, fixed)
}

// BenchmarkCheckLarge holds the check of a job, against fifty policies and against
// the whole library, against the parse of its file.
func BenchmarkCheckLarge(b *testing.B) {
	b.Run("policies=50", func(b *testing.B) { measureLarge(b, load(b, fiftyPolicies())) })
	b.Run("library", func(b *testing.B) { measureLarge(b, library(b)) })
}

func library(b *testing.B) *policies.Set {
	var files []policies.Source
	for i, src := range libraryPolicies(b) {
		files = append(files, policies.Source{Name: fmt.Sprint(i), Bytes: []byte(src)})
	}
	set, diags := policies.Load(files, policies.Options{})
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	return set
}

func measureLarge(b *testing.B, set *policies.Set) {
	files, jobs := parsedFiles(b, 2000)
	m := &jobspectest.Meter{Files: files, Goroutines: 1, Floor: func(f jobspectest.File) error {
		if _, diags := jobspec.Parse(f.Name, f.Bytes, jobspec.Inputs{}); diags.HasErrors() {
			return diags
		}
		return nil
	}}
	for b.Loop() {
		err := m.Lap(func(f jobspectest.File) error {
			if _, diags := set.Check(policies.FileSide, jobs[f.Name], nil); diags.HasErrors() {
				return diags
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	r := m.Result()
	b.ReportMetric(0, "ns/op") // of a lap, with the parse inside: says nothing
	b.ReportMetric(r.CPU.Median, "x-parse-cpu")
	b.ReportMetric(r.Work.Allocs, "allocs/job")
	b.Logf("check of %d policies, one goroutine: CPU %s of the parse of the job's file\na job: %s\nparse: %s", len(set.Policies()), r.CPU, r.Work, r.Floor)
}

// A policy whose match excludes the job costs no allocation.
func TestExcludedJobsCostNothing(t *testing.T) {
	one := load(t, "policy \"p\" {\n match {\n task = [\"other\"]\n }\n sudo {\n preserve_env = false\n }\n}\n")
	var b strings.Builder
	for i, filter := range []string{`job = ["other-*"]`, `namespace = ["prod"]`, `type = ["batch", "sys*"]`, `meta = { tier = "gold" }`,
		`task = ["other"]`, `driver = ["raw_exec"]`, `lifecycle = ["prestart"]`, "job = [\"other\"]\n when = job.priority > 50"} {
		fmt.Fprintf(&b, `
policy "p%d" {
  fix = true
  match {
    %s
  }
  sudo {
    preserve_env = false
  }
  env {
    values = { A = job.id }
  }
  rule "task" {
    assert = task.resources.memory < 1
  }
  rule "group" {
    scope  = "group"
    assert = group.count < 1
  }
  rule "job" {
    scope  = "job"
    assert = job.priority < 1
  }
  exception {
    rule    = ["task"]
    reason  = "x"
    expires = "2999-01-01"
  }
}
`, i, filter)
	}
	many, j := load(t, b.String()), ruleJob()
	count := func(s *policies.Set) float64 {
		return testing.AllocsPerRun(100, func() {
			if v, diags := s.Check(policies.FileSide, j, nil); len(v.Findings)+len(v.Selected)+len(diags) > 0 {
				t.Fatal("the job is selected")
			}
		})
	}
	if a, b := count(one), count(many); b > a { // those of one are the job's own, made once
		t.Errorf("one policy that excludes the job allocates %v times, eight of them %v", a, b)
	}
}
