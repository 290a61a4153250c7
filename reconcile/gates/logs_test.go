package gates

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// fake is a Nomad with the given answers. Its blocking reads hold as long as
// nothing moves, which is until ctx ends.
type fake struct {
	allocs      []*api.AllocationListStub
	deployments []*api.Deployment
	eval        *api.Evaluation
	failure     *nomad.Failure
	fault       error
	evalMissing atomic.Int32         // so many reads of the evaluation do not find it
	logs        map[string][]opening // "alloc/task/stream": one after the other, the last for ever

	mu     sync.Mutex
	opened map[string]int
}

// opening is how Nomad answers one request for a stream: an error, or text in
// chunks and then an end; without an end the stream stays open.
type opening struct {
	err    error
	hang   bool
	silent bool // a follow hangs, a read does not
	chunks []string
	end    error
}

func held[T any](ctx context.Context, f *fake, index uint64, v T) (T, uint64, error) {
	if f.fault != nil {
		return v, 0, f.fault
	}
	if index > 0 {
		<-ctx.Done()
		return v, index, ctx.Err()
	}
	return v, 1, nil
}

func (f *fake) Job(context.Context, job.ID) (*api.Job, error) { return nil, errors.ErrUnsupported }

func (f *fake) WatchJob(ctx context.Context, _ job.ID, index uint64) (*api.Job, uint64, error) {
	return held(ctx, f, index, &api.Job{JobModifyIndex: new(uint64(5))})
}

func (f *fake) Allocation(context.Context, string) (*api.Allocation, error) {
	return nil, errors.ErrUnsupported
}

func (f *fake) Allocations(ctx context.Context, _ job.ID, index uint64) ([]*api.AllocationListStub, uint64, error) {
	return held(ctx, f, index, f.allocs)
}

func (f *fake) Services(context.Context, string, string) ([]*api.ServiceRegistration, error) {
	return nil, errors.ErrUnsupported
}

func (f *fake) Checks(context.Context, string) (api.AllocCheckStatuses, error) {
	return nil, errors.ErrUnsupported
}

func (f *fake) Dispatch(context.Context, job.ID, map[string]string, []byte) (string, error) {
	return "", f.fault
}

func (f *fake) Force(context.Context, job.ID) (string, error) { return "", f.fault }

func (f *fake) Node(_ context.Context, id string) (*api.Node, error) {
	return &api.Node{ID: id, Name: "elsewhere", Attributes: map[string]string{"unique.hostname": "elsewhere"}}, f.fault
}

func (f *fake) Deployments(ctx context.Context, _ job.ID, index uint64) ([]*api.Deployment, uint64, error) {
	return held(ctx, f, index, f.deployments)
}

func (f *fake) Evaluation(ctx context.Context, _ string, index uint64) (*api.Evaluation, uint64, error) {
	if f.evalMissing.Add(-1) >= 0 {
		return nil, 0, nomad.ErrNotFound
	}
	return held(ctx, f, index, f.eval)
}

func (f *fake) LastFailure(context.Context, []*api.AllocationListStub) (*nomad.Failure, error) {
	return f.failure, nil
}

func (f *fake) Logs(ctx context.Context, alloc, task, name string, follow bool) (io.ReadCloser, error) {
	key := alloc + "/" + task + "/" + name
	f.mu.Lock()
	all := f.logs[key]
	if len(all) == 0 {
		all = []opening{{}} // open and silent
	}
	o := all[min(f.opened[key], len(all)-1)]
	if f.opened == nil {
		f.opened = map[string]int{}
	}
	f.opened[key]++
	f.mu.Unlock()
	if o.hang || o.silent && follow {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	o.chunks = slices.Clone(o.chunks)
	return &reader{ctx, o, follow}, o.err
}

type reader struct {
	ctx    context.Context
	o      opening
	follow bool
}

func (r *reader) Read(p []byte) (int, error) {
	if len(r.o.chunks) > 0 {
		n := copy(p, r.o.chunks[0])
		if r.o.chunks[0] = r.o.chunks[0][n:]; r.o.chunks[0] == "" {
			r.o.chunks = r.o.chunks[1:]
		}
		return n, nil
	}
	if r.o.end != nil {
		return 0, r.o.end
	}
	if r.follow {
		<-r.ctx.Done()
	}
	return 0, io.EOF
}

func (r *reader) Close() error { return nil }

// says are streams that stay open after these chunks.
func says(chunks ...string) []opening { return []opening{{chunks: chunks}} }

// testJob has group "g" with these tasks; "NAME:HOOK" has a lifecycle.
func testJob(tasks ...string) *api.Job {
	g := &api.TaskGroup{Name: new("g"), Count: new(1)}
	for _, t := range tasks {
		name, hook, _ := strings.Cut(t, ":")
		task := &api.Task{Name: name}
		if hook != "" {
			task.Lifecycle = &api.TaskLifecycle{Hook: hook}
		}
		g.Tasks = append(g.Tasks, task)
	}
	return &api.Job{Type: new("service"), Version: new(uint64(3)), TaskGroups: []*api.TaskGroup{g}}
}

func stub(id, status string, tasks map[string]*api.TaskState) *api.AllocationListStub {
	return &api.AllocationListStub{ID: id, TaskGroup: "g", JobVersion: 3, DesiredStatus: "run", ClientStatus: status, TaskStates: tasks}
}

func parse(t *testing.T, src string) (any, hcl.Diagnostics) {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(src), "gate.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return decodeLogs("n", f.Body)
}

func mustLogs(t *testing.T, src string) *logs {
	t.Helper()
	spec, diags := parse(t, src)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return spec.(*logs)
}

func TestDecodeLogsMistakes(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		``:                                 {`gate.hcl:1,1-1: Empty logs gate; Say what the log must not hold (forbid) or must hold (require).`},
		`task = "web"`:                     {`gate.hcl:1,1-1: Empty logs gate; Say what the log must not hold (forbid) or must hold (require).`},
		`forbid = ["("]`:                   {"gate.hcl:1,10-15: Bad regular expression; \"(\": error parsing regexp: missing closing ): `(`."},
		"forbid = [\"a\"]\nwindow = \"x\"": {`gate.hcl:2,10-13: Bad duration; "x" is not a duration such as "15s" or "1m".`},
		"forbid = [\"a\"]\nwindow = \"0s\"": {
			`gate.hcl:2,10-14: Bad duration; "0s" is not a duration such as "15s" or "1m".`},
		`forbids = ["a"]`: {`gate.hcl:1,1-8: Unsupported argument; An argument named "forbids" is not expected here. Did you mean "forbid"?`},
		`forbid = 1`:      {`gate.hcl:1,10-11: Wrong type; forbid must be a list of strings such as ["a", "b"], not a number.`},
	}
	for src, want := range tests {
		_, diags := parse(t, src)
		var got []string
		for _, d := range diags {
			got = append(got, fmt.Sprintf("%s: %s; %s", d.Subject, d.Summary, d.Detail))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s\n%s", src, d)
		}
	}
}

func TestLogsString(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		`forbid = ["^sudo: "]`: `no line matches "^sudo: ", within 15s`,
		"require = [\"a\"]":    `"a" is logged, within 15s`,
		"forbid = [\"a\", \"b\"]\nrequire = [\"c\", \"d\"]\nwindow = \"2s\"": `no line matches "a" or "b", "c" is logged, "d" is logged, within 2s`,
	}
	for src, want := range tests {
		if got := mustLogs(t, src).String(); got != want {
			t.Errorf("%s\n got %s\nwant %s", src, got, want)
		}
	}
}

func TestLogsCheckJob(t *testing.T) {
	t.Parallel()
	j := testJob("web", "side")
	for src, want := range map[string]string{
		"forbid = [\"a\"]":                   "",
		"task = \"side\"\nforbid = [\"a\"]":  "",
		"task = \"other\"\nforbid = [\"a\"]": `gate.hcl:1,8-15: No such task; The job has no task "other"; its tasks: web, side.`,
	} {
		got := ""
		for _, d := range mustLogs(t, src).CheckJob(j) {
			got += d.Error()
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", src, got, want)
		}
	}
}

func TestLogsGate(t *testing.T) {
	t.Parallel()
	const forbid, require = `forbid = ["^sudo: "]`, `require = ["ready"]`
	notYet := fmt.Errorf("%w (task not started yet)", nomad.ErrNotFound)
	away := fmt.Errorf("%w at http://n", nomad.ErrUnreachable)
	cut := fmt.Errorf("reading: %w", io.ErrUnexpectedEOF)
	tests := map[string]struct {
		spec   string
		tasks  []string
		allocs []string // one, a1, unless said
		logs   map[string][]opening
		passed bool
		detail string
		after  time.Duration
	}{
		"quiet":            {spec: forbid, passed: true, detail: "nothing forbidden within 15s", after: 15 * time.Second},
		"forbidden stderr": {spec: forbid, logs: map[string][]opening{"a1/web/stderr": says("ok\nsudo: no\n")}, detail: `forbidden "^sudo: " in stderr of task web, allocation a1: sudo: no`},
		"forbidden stdout": {spec: forbid, logs: map[string][]opening{"a1/web/stdout": says("su", "do: no\r\n")}, detail: `forbidden "^sudo: " in stdout of task web, allocation a1: sudo: no`},
		"forbidden in another task": {spec: "task = \"web\"\n" + forbid, tasks: []string{"web", "side"}, logs: map[string][]opening{"a1/side/stdout": says("sudo: no\n")},
			passed: true, detail: "nothing forbidden within 15s", after: 15 * time.Second},
		"forbidden without line end": {spec: forbid, logs: map[string][]opening{"a1/web/stderr": says("sudo: n", "o")},
			detail: `forbidden "^sudo: " in stderr of task web, allocation a1: sudo: no`, after: 15 * time.Second},
		"a partial line that went on": {spec: `forbid = ["^no$"]`, logs: map[string][]opening{"a1/web/stderr": says("no", "thing\n")},
			passed: true, detail: "nothing forbidden within 15s", after: 15 * time.Second},
		"required":                  {spec: require, logs: map[string][]opening{"a1/web/stdout": says("now ready\n")}, passed: true, detail: "allocation a1 said: now ready"},
		"required without line end": {spec: require, logs: map[string][]opening{"a1/web/stdout": says("ready")}, passed: true, detail: "allocation a1 said: ready", after: 15 * time.Second},
		"required and forbidden":    {spec: forbid + "\n" + require, logs: map[string][]opening{"a1/web/stdout": says("ready\n")}, passed: true, detail: "allocation a1 said: ready", after: 15 * time.Second},
		"required in one of two": {spec: require, allocs: []string{"a1", "a2"}, logs: map[string][]opening{"a1/web/stdout": says("ready\n")},
			detail: `"ready" was not seen within 15s in allocation a2`, after: 15 * time.Second},
		"required, unread": {spec: require, logs: map[string][]opening{"a1/web/stdout": {{err: away}}},
			detail: `"ready" was not seen within 15s in allocation a1; stdout of task web in allocation a1 could not be read: no answer from Nomad at http://n`, after: 15 * time.Second},
		"cut and read again": {spec: forbid, logs: map[string][]opening{"a1/web/stderr": {{chunks: []string{"a\nsud"}, end: cut}, {err: away}, {chunks: []string{"a\nsudo: no\n"}}}},
			detail: `forbidden "^sudo: " in stderr of task web, allocation a1: sudo: no`, after: 2 * retryPause},
		"not there yet": {spec: require, logs: map[string][]opening{"a1/web/stdout": {{err: notYet}, {err: notYet}, {chunks: []string{"ready\n"}}}},
			passed: true, detail: "allocation a1 said: ready", after: 2 * retryPause},
		"never started": {spec: forbid, logs: map[string][]opening{"a1/web/stderr": {{err: notYet}}},
			detail: "cannot tell: stderr of task web in allocation a1 could not be read: not found (task not started yet)", after: 15 * time.Second},
		"unreachable": {spec: forbid, logs: map[string][]opening{"a1/web/stderr": {{err: away}}},
			detail: "cannot tell: stderr of task web in allocation a1 could not be read: no answer from Nomad at http://n", after: 15 * time.Second},
		"hung": {spec: forbid + "\nwindow = \"3s\"", logs: map[string][]opening{"a1/web/stderr": {{hang: true}}},
			detail: "cannot tell: stderr of task web in allocation a1 could not be read: no answer within 3s", after: 8 * time.Second},
		"cut, then hung": {spec: forbid, logs: map[string][]opening{"a1/web/stderr": {{end: cut}, {hang: true}}},
			detail: "cannot tell: stderr of task web in allocation a1 could not be read: reading: unexpected EOF", after: 20 * time.Second},
		"required, forbidden, unread": {spec: forbid + "\n" + require, logs: map[string][]opening{"a1/web/stdout": says("ready\n"), "a1/web/stderr": {{hang: true}}},
			detail: "cannot tell: stderr of task web in allocation a1 could not be read: no answer within 15s", after: 20 * time.Second},
		"a follow that is silent": {spec: forbid, logs: map[string][]opening{"a1/web/stderr": {{silent: true}}},
			passed: true, detail: "nothing forbidden within 15s", after: 15 * time.Second},
		"a follow that is silent of a forbidden line": {spec: forbid, logs: map[string][]opening{"a1/web/stderr": {{silent: true, chunks: []string{"sudo: no"}}}},
			detail: `forbidden "^sudo: " in stderr of task web, allocation a1: sudo: no`, after: 15 * time.Second},
		"refused": {spec: forbid, logs: map[string][]opening{"a1/web/stderr": {{err: nomad.ErrForbidden}}},
			detail: "reading stderr of task web in allocation a1: permission denied"},
		"finished prestart": {spec: forbid, tasks: []string{"init:prestart", "web"}, logs: map[string][]opening{"a1/init/stdout": {{chunks: []string{"done\n"}}}},
			passed: true, detail: "nothing forbidden within 15s", after: 15 * time.Second},
		"poststop is not waited for": {spec: forbid, tasks: []string{"web", "clean:poststop"}, logs: map[string][]opening{"a1/clean/stdout": {{err: notYet}}},
			passed: true, detail: "nothing forbidden within 15s", after: 15 * time.Second},
		"no allocation":         {spec: forbid, allocs: []string{}, detail: "there is no allocation to read the logs of"},
		"no allocation of task": {spec: "task = \"x\"\n" + forbid, detail: "there is no allocation of task x to read the logs of"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if tt.tasks == nil {
					tt.tasks = []string{"web"}
				}
				if tt.allocs == nil {
					tt.allocs = []string{"a1"}
				}
				f := &fake{logs: tt.logs}
				for _, id := range tt.allocs {
					f.allocs = append(f.allocs, stub(id, "running", nil))
				}
				r := Run(t.Context(), f, Change{Job: testJob(tt.tasks...)}, policies.Gate{Kind: "logs", Name: "n", Spec: mustLogs(t, tt.spec)})
				want := Result{Kind: "logs", Name: "n", Passed: tt.passed, Detail: tt.detail, Duration: tt.after}
				if d := cmp.Diff(want, r); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// TestLogsGateEnds: when ctx does, with streams that hang and streams that flow;
// the bubble itself fails where a reader outlives the gate.
func TestLogsGateEnds(t *testing.T) {
	t.Parallel()
	f := func() *fake {
		return &fake{
			allocs: []*api.AllocationListStub{stub("a1", "running", nil)},
			logs:   map[string][]opening{"a1/web/stdout": {{hang: true}}, "a1/web/stderr": says("a\n")},
		}
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ok, detail := mustLogs(t, `forbid = ["x"]`).Check(ctx, f(), Change{Job: testJob("web")})
		if ok || detail != "the deadline came before the log window ended" {
			t.Error(ok, detail)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		ok, detail := mustLogs(t, `forbid = ["x"]`).Check(ctx, f(), Change{Job: testJob("web")})
		if ok || detail != "interrupted before the log window ended" {
			t.Error(ok, detail)
		}
	})
}

func TestLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine)
	for in, want := range map[string][]string{
		"":              {""},
		"a":             {"a"},
		"a\r\n\nb\nc":   {"a", "", "b", "c"},
		long + "y\nz":   {long, "y", "z"},
		long + long:     {long, long, ""},
		long[1:] + "\n": {long[1:], ""},
	} {
		var got []string
		rest := lines([]byte(in), func(s string) { got = append(got, s) })
		if d := cmp.Diff(want, append(got, string(rest))); d != "" {
			t.Errorf("%.10q: %s", in, d)
		}
	}
}

// TestLogsGateOverARestart: what a task said before it was started again counts,
// and what it says after that.
func TestLogsGateOverARestart(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	j := sleepers("web", 0)
	g := j.TaskGroups[0]
	g.RestartPolicy = &api.RestartPolicy{Attempts: new(3), Interval: new(time.Minute), Delay: new(50 * time.Millisecond), Mode: new("fail")}
	g.Tasks[0].Config = map[string]any{"command": "/bin/sh", "args": []any{"-c", `cd "$NOMAD_TASK_DIR"
if [ -e again ]; then echo second; exec sleep 600; fi
touch again; echo first; sleep 0.2; exit 1`}}
	change := c.run(j)
	allocs, err := Fresh(t.Context(), c, change)
	if err != nil {
		t.Fatal(err)
	}
	for src, want := range map[string]string{
		`require = ["first", "second"]`: "passed: allocation ALLOC said: second",
		`forbid = ["second"]`:           `failed: forbidden "second" in stdout of task main, allocation ALLOC: second`,
	} {
		if got := verdictOf(Run(t.Context(), c, change, gate(t, "logs", "n", src)), short(allocs[0].ID), "ALLOC"); got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
}
