package reconcile

import (
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/jobspec/jobspectest"
)

// BenchmarkAlike is alike of jobs that are as registered, where it has most to do,
// beside a copy of the same jobs and the parse of their files.
func BenchmarkAlike(b *testing.B) {
	files := jobspectest.Generate(200)
	var desired, live []*api.Job
	for _, f := range files {
		spec, diags := jobspec.Parse(f.Name, f.Bytes, jobspec.Inputs{})
		if diags.HasErrors() {
			b.Fatal(diags)
		}
		j := job.Clone(spec.Job)
		if !stored(j, j, nothingAdded) {
			b.Fatal("not known what Nomad stores")
		}
		desired, live = append(desired, spec.Job), append(live, j)
	}
	var own, clones, parses time.Duration
	for b.Loop() {
		own += timed(func(i int) { alike(live[i], desired[i]) }, len(files))
		clones += timed(func(i int) { job.Clone(desired[i]) }, len(files))
		parses += timed(func(i int) { jobspec.Parse(files[i].Name, files[i].Bytes, jobspec.Inputs{}) }, len(files))
	}
	b.ReportMetric(0, "ns/op") // of all three
	b.ReportMetric(float64(own.Nanoseconds())/float64(b.N*len(files)), "ns/job")
	b.ReportMetric(float64(own)/float64(clones), "x-clone")
	b.ReportMetric(float64(own)/float64(parses), "x-parse")
}

func timed(do func(int), n int) time.Duration {
	start := time.Now()
	for i := range n {
		do(i)
	}
	return time.Since(start)
}
