package jobspec_test

import (
	"testing"

	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/jobspec/jobspectest"
)

// BenchmarkParse is Parse, which evaluates too, beside the parse of the HCL alone:
// what nobody can be faster than.
func BenchmarkParse(b *testing.B) {
	m := jobspectest.Meter{Files: jobspectest.Generate(2000), Goroutines: 1}
	for b.Loop() {
		err := m.Lap(func(f jobspectest.File) error {
			if _, diags := jobspec.Parse(f.Name, f.Bytes, jobspec.Inputs{}); diags.HasErrors() {
				return diags
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	r := m.Result()
	b.ReportMetric(0, "ns/op") // of a lap, with the floor inside: says nothing
	b.ReportMetric(r.CPU.Median, "x-floor-cpu")
	b.ReportMetric(r.Work.Allocs, "allocs/file")
	b.ReportMetric(r.Floor.Allocs, "floor-allocs/file")
	b.Logf("parse + evaluate, one goroutine: CPU %s of the floor\na file: %s\nfloor:  %s", r.CPU, r.Work, r.Floor)
}
