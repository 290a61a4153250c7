package nomad_test

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"testing"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
)

// manyJobs is what one agent is to hold.
const manyJobs = 10_000

// fleet is a double with many jobs, which run without processes or not at all.
func fleet(b *testing.B, count int) *nomad.Client {
	b.Helper()
	srv, err := nomadtest.Start(nomadtest.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { srv.Close() })
	c, err := nomad.New(&api.Config{Address: srv.URL()})
	if err != nil {
		b.Fatal(err)
	}
	for i := range manyJobs {
		j := emptyJob(fmt.Sprintf("job-%05d", i))
		j.TaskGroups[0].Count, task(j).Driver = new(count), "mock_driver"
		if _, err := c.Register(b.Context(), j, nil, 0); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

// peakMB is the most memory that this process has had.
func peakMB(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if err != nil || m == nil {
		b.Skip("no /proc")
	}
	kb, _ := strconv.Atoi(string(m[1]))
	return float64(kb) / 1024
}

// BenchmarkMany is what the agent asks of Nomad most, with many jobs there.
func BenchmarkMany(b *testing.B) {
	for _, count := range []int{0, 1} {
		b.Run(fmt.Sprintf("count=%d", count), func(b *testing.B) {
			c := fleet(b, count)
			ctx, id := b.Context(), job.ID{Namespace: "default", Name: "job-05000"}
			live, err := c.Job(ctx, id)
			if err != nil {
				b.Fatal(err)
			}
			for name, call := range map[string]func() error{
				"list": func() error { _, _, err := c.List(ctx, []string{"default"}); return err },
				"read": func() error { _, err := c.Job(ctx, id); return err },
				"plan": func() error { _, err := c.Plan(ctx, live); return err },
			} {
				b.Run(name, func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if err := call(); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			b.Logf("%d jobs: at most %.0f MB, %d goroutines", manyJobs, peakMB(b), runtime.NumGoroutine())
		})
	}
}
