package policies_test

import (
	"testing"

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
		r := measureCheck(b, &jobspectest.Meter{Goroutines: 2, GCPercent: 400})
		b.ReportMetric(r.Wall.Median, "x-floor-wall")
		b.Logf("the same on two goroutines, GC at 400%%: wall %s of the floor on one\na file: %s\nfloor:  %s", r.Wall, r.Work, r.Floor)
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
