package jobspectest_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"nomad-reconcile/state/jobspec/jobspectest"
)

// The meter is held against work whose cost is known: the floor itself, twice.
// Allocations are counted and not timed, so they must come out right anywhere.
// Not parallel: other tests would be measured too.
func TestMeter(t *testing.T) {
	for _, goroutines := range []int{1, 2} {
		m := jobspectest.Meter{Files: jobspectest.Generate(250), Goroutines: goroutines, GCPercent: 400}
		var worked atomic.Int64
		for range 2 {
			err := m.Lap(func(f jobspectest.File) error {
				worked.Add(1)
				for range 2 {
					if _, diags := hclsyntax.ParseConfig(f.Bytes, f.Name, hcl.InitialPos); diags.HasErrors() {
						return diags
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		r := m.Result()
		if times := r.Work.Allocs / r.Floor.Allocs; times < 1.9 || times > 2.1 || r.Floor.Allocs < 100 {
			t.Errorf("%d goroutines: %.2f times the allocations of the floor (%.0f a file), want 2", goroutines, times, r.Floor.Allocs)
		}
		if worked.Load() != 200 || r.Laps != 2 {
			t.Errorf("%d goroutines: worked on %d files in %d laps, want 200 in 2", goroutines, worked.Load(), r.Laps)
		}
		if !slices.IsSorted([]float64{0, r.CPU.Low, r.CPU.Median, r.CPU.High}) || r.Work.CPU <= 0 || r.Floor.Wall <= 0 {
			t.Errorf("%d goroutines: %+v", goroutines, r)
		}
	}
}

func TestMeterStopsAtErrors(t *testing.T) {
	failure := errors.New("no")
	for _, goroutines := range []int{1, 2} {
		m := jobspectest.Meter{Files: jobspectest.Generate(100), Goroutines: goroutines}
		if err := m.Lap(func(jobspectest.File) error { return failure }); !errors.Is(err, failure) {
			t.Errorf("%d goroutines: %v", goroutines, err)
		}
		broken := jobspectest.Meter{Files: make([]jobspectest.File, 100), Goroutines: goroutines}
		broken.Files[7].Bytes = []byte("{")
		if err := broken.Lap(func(jobspectest.File) error { return nil }); err == nil {
			t.Error("a file that is no HCL has no floor")
		}
	}
}
