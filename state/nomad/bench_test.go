package nomad_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
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
		})
	}
}

// BenchmarkListMemory is the client's side of a list of many jobs: what stays of it, and
// what reading it adds to the process at most. The answer itself is kept by the server,
// in the same process.
func BenchmarkListMemory(b *testing.B) {
	var stubs []*api.JobListStub
	for i := range manyJobs {
		name := fmt.Sprintf("team-%02d/service-%05d", i%40, i)
		stubs = append(stubs, &api.JobListStub{
			ID: name, Name: name, Namespace: "default", Datacenters: []string{"*"}, Type: "service", Priority: 50, Status: "running",
			CreateIndex: 1e6, ModifyIndex: 2e6, JobModifyIndex: 2e6, SubmitTime: 1795887890622985343,
			JobSummary: &api.JobSummary{
				JobID: name, Namespace: "default", CreateIndex: 1e6, ModifyIndex: 2e6, Children: &api.JobChildrenSummary{},
				Summary: map[string]api.TaskGroupSummary{"web": {Running: 3}, "worker": {Running: 1}},
			},
		})
	}
	body, err := json.Marshal(stubs)
	if err != nil {
		b.Fatal(err)
	}
	stubs = nil
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Nomad-Index", "7")
		w.Write(body)
	}))
	defer srv.Close()
	c, err := nomad.New(&api.Config{Address: srv.URL})
	if err != nil {
		b.Fatal(err)
	}
	debug.FreeOSMemory()
	before, rss := heap(), resident(b, "VmRSS")
	b.ReportAllocs()
	for b.Loop() {
		if stubs, _, err = c.List(b.Context(), []string{"default"}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(resident(b, "VmHWM")-rss)/1024, "peak-MB-more")
	b.ReportMetric(float64(heap()-before)/(1<<20), "live-MB")
	b.ReportMetric(float64(len(body))/(1<<20), "body-MB")
	runtime.KeepAlive(stubs)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// resident is a figure of this process's memory, in kB.
func resident(b *testing.B, what string) int {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	m := regexp.MustCompile(what + `:\s+(\d+) kB`).FindSubmatch(status)
	if err != nil || m == nil {
		b.Skip("no /proc here")
	}
	kb, _ := strconv.Atoi(string(m[1]))
	return kb
}
