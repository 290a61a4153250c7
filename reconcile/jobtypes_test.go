package reconcile_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
	"nomad-reconcile/state/nomad/nomadtest/agent"
	"nomad-reconcile/state/source"
)

// kind is a kind of job: its file, and how a change of it is to be converged.
type kind struct {
	name    string
	head    string // of the job block
	groups  string // instead of the one group that runs until it is stopped
	rollout string // more of the rollout block
	rerun   bool   // apply -rerun
	old     string // why it cannot be had from a real Nomad; empty where it can
}

// quick is an update block whose times are short.
const quick = `
  update {
    min_healthy_time  = "300ms"
    healthy_deadline  = "20s"
    progress_deadline = "25s"
    %s
  }
`

func updating(more string) string { return fmt.Sprintf(quick, more) }

// group runs a task until it is stopped; %s is more of it.
func group(name, more string) string {
	return fmt.Sprintf(`
  group %q {
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }
    %s%s
  }
`, name, more, task("main", "", `exec sleep 600`))
}

// task says what it is told to, crashes if it is told to, or does what it does.
func task(name, more, does string) string {
	return fmt.Sprintf(`
    task %q {
      driver       = "raw_exec"
      kill_timeout = "1s"
      %s
      config {
        command = "/bin/sh"
        args    = ["-c", "[ -n \"$BROKEN\" ] && echo \"fatal: $BROKEN\" >&2; [ -n \"$CRASH\" ] && exit 3; %s"]
      }

      resources {
        cpu    = 10
        memory = 16
      }
    }
`, name, more, does)
}

func hook(name, hook string, sidecar bool, does string) string {
	return task(name, fmt.Sprintf("lifecycle {\n        hook    = %q\n        sidecar = %v\n      }\n", hook, sidecar), does)
}

// once is a group whose task ends by itself.
var once = strings.NewReplacer(`exec sleep 600`, `sleep 0.2`, "    reschedule {\n      attempts  = 0\n      unlimited = false\n    }\n", "").Replace(group("g", ""))

var (
	onceBatch = strings.Replace(group("g", ""), `exec sleep 600`, `sleep 0.2`, 1)
	system    = strings.Replace(group("g", ""), "    reschedule {\n      attempts  = 0\n      unlimited = false\n    }\n", "", 1)
	launching = "gate \"dispatch\" \"launch\" {\n    within = \"9s\"\n  }"
)

var kinds = []kind{
	{name: "service", head: `type = "service"` + updating("")},
	{name: "restart", head: `type = "service"` + updating(""), rollout: `strategy = "restart"`},
	{name: "defaults", head: `type = "service"`},
	{name: "no deployment", head: `type = "service"` + updating("max_parallel = 0")},
	{name: "groups", head: `type = "service"` + updating(""), groups: group("g", "count = 2") + group("h", "")},
	{name: "rolling", head: `type = "service"` + updating("max_parallel = 1"), groups: group("g", "count = 3")},
	{name: "count 0", head: `type = "service"` + updating(""), groups: group("g", "count = 0")},
	{name: "hooks", head: `type = "service"` + updating(""), groups: group("g",
		hook("before", "prestart", false, "true")+hook("beside", "prestart", true, "exec sleep 600")+hook("after", "poststart", false, "true"))},
	{name: "canaries", head: `type = "service"` + updating("canary = 1\n    auto_promote = true")},
	{name: "canaries by hand", head: `type = "service"` + updating("canary = 1")},
	{name: "auto revert", head: `type = "service"` + updating("auto_revert = true")},
	{name: "namespace", head: `namespace = "apps"` + updating("canary = 1")},
	{name: "pool", head: `node_pool = "all"` + updating("")},
	{name: "system", head: `type = "system"` + updating(""), groups: system},
	{name: "system of old", head: `type = "system"` + updating(""), groups: system, old: "system jobs have had deployments since Nomad 1.11"},
	{name: "batch", head: `type = "batch"`, groups: onceBatch},
	{name: "batch again", head: `type = "batch"`, groups: onceBatch, rerun: true},
	{name: "sysbatch", head: `type = "sysbatch"`, groups: once},
	{name: "sysbatch again", head: `type = "sysbatch"`, groups: once, rerun: true},
	{name: "periodic", head: "type = \"batch\"\n  periodic {\n    crons = [\"0 0 1 1 *\"]\n  }\n", groups: onceBatch, rollout: launching},
	{name: "parameterized", head: "type = \"batch\"\n  parameterized {}\n", groups: onceBatch, rollout: launching},
}

// event is what happens to a job: the change that a policy wants of it, and what
// comes in between.
type event struct {
	name   string
	policy string
	gates  string                      // of the rollout
	first  func(*row)                  // before the plan
	during func(*row, reconcile.Event) // the run
}

func setting(key, value string) string {
	return fmt.Sprintf("policy \"suite\" {\n  fix = true\n\n  env {\n    values = { %s = %q }\n  }\n}\n", key, value)
}

func fixing(path, value string) string {
	return fmt.Sprintf("policy \"suite\" {\n  fix = true\n\n  rule \"is\" {\n    scope   = \"task\"\n    assert  = %s == %s\n    message = \"it is not\"\n\n    fix {\n      path  = %s\n      value = %s\n    }\n  }\n}\n", path, value, path, value)
}

// quiet is short, and long enough to see what a task says first.
const quiet = `gate "logs" "quiet" {
    forbid = ["^fatal: "]
    window = "1s"
  }`

var events = []event{
	{name: "good", policy: setting("VALUE", "two")},
	{name: "cannot start", policy: fixing("task.config.command", `"/no/such/command"`)},
	{name: "no place", policy: fixing("task.resources.memory", "9999999"), gates: `deadline = "6s"`},
	{name: "crashes", policy: setting("CRASH", "it does")},
	{name: "gate fails", policy: setting("BROKEN", "it is"), gates: quiet},
	{name: "stopped before", policy: setting("VALUE", "two"), first: (*row).stop},
	{name: "stopped meanwhile", policy: setting("VALUE", "two"), during: onceAt("gate deployment", "", (*row).stop)},
	{name: "Nomad gone", policy: setting("VALUE", "two"), during: onceAt("register", history.OK, (*row).away)},
	{name: "conflict", policy: setting("VALUE", "two"), during: onceAt("register", "", (*row).interfere)},
	{name: "overtaken", policy: setting("VALUE", "two"), during: onceAt("gate deployment", "", (*row).interfere)},
}

// onceAt does something when a step begins (no outcome) or has ended so.
func onceAt(step string, outcome history.Outcome, do func(*row)) func(*row, reconcile.Event) {
	return func(r *row, e reconcile.Event) {
		if e.Step == step && e.Outcome == outcome && !r.done {
			r.done = true
			do(r)
		}
	}
}

// end is what a row of the table comes to.
type end struct {
	condition reconcile.Condition // as the agent sees the job afterwards
	result    history.Result
	words     string // of the run and the plan, in this order; * stands for any text
}

// TestEveryJobTypeAndEvent runs the table on nomadtest and, where there is one, on
// a real Nomad.
func TestEveryJobTypeAndEvent(t *testing.T) {
	t.Run("double", func(t *testing.T) {
		t.Parallel()
		s := &suite{urls: map[bool]string{}}
		for _, old := range []bool{false, true} {
			server, err := nomadtest.Start(nomadtest.Options{Namespaces: []string{"apps"}, Parse: parse, NoSystemDeployments: old})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { server.Close() })
			s.urls[old] = server.URL()
		}
		s.run(t, 24)
	})
	binary := agent.Find(os.Getenv("NOMAD_BIN"))
	if binary == "" {
		t.Log("real Nomad: not found, ran against the double alone")
		return
	}
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		real, err := agent.Start(agent.Options{Binary: binary, Dir: t.TempDir(), PATH: os.Getenv("PATH"), Namespaces: []string{"apps"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := real.Close(); err != nil {
				t.Error(err)
			}
		})
		t.Logf("real Nomad: %s", real.Version)
		s := &suite{urls: map[bool]string{false: real.URL()}, real: true}
		s.run(t, 8)
	})
}

// suite runs the table on one Nomad, or one for each age.
type suite struct {
	urls map[bool]string // by whether system jobs have no deployments
	real bool
}

// run runs rows side by side, more than there are processors: they mostly wait.
func (s *suite) run(t *testing.T, limit int) {
	var g errgroup.Group
	g.SetLimit(limit)
	for _, k := range kinds {
		for _, e := range events {
			g.Go(func() error {
				t.Run(k.name+"/"+e.name, func(t *testing.T) { s.row(t, k, e) })
				return nil
			})
		}
	}
	_ = g.Wait()
}

func (s *suite) row(t *testing.T, k kind, e event) {
	if s.real && k.old != "" {
		t.Skip(k.old)
	}
	want, ok := table[k.name][e.name]
	if !ok {
		t.Fatal("the table says nothing of it")
	}
	r := s.newRow(t, k, e)
	r.register()
	r.settled()
	if e.first != nil {
		e.first(r)
	}
	run, err := r.apply()
	if err != nil {
		t.Fatal(err)
	}
	r.back.Store(false)
	after := r.plan(reconcile.Sync{Fix: true, Drift: reconcile.Report, Create: reconcile.Report, Prune: reconcile.Report})
	got := end{after.Condition, run.Result, strings.ReplaceAll(told(run, after), r.id.String(), "JOB")}
	if got.condition != want.condition || got.result != want.result || !like(want.words, got.words) {
		t.Errorf("ended\n %s, %s: %s\nwant\n %s, %s: %s", got.condition, got.result, got.words, want.condition, want.result, want.words)
	}
	r.nothingHalf(run)
}

var ids = regexp.MustCompile(`[0-9]{8}-[0-9]{6}-[-.\w]+|\b[0-9a-f]{8}\b`)

// told is all that a person is told, without what is never the same twice.
func told(run history.Run, p reconcile.Plan) string {
	words := []string{run.Reason}
	for _, g := range run.Gates {
		words = append(words, strings.TrimSpace(g.Kind+" "+g.Name)+": "+g.Detail)
	}
	words = append(words, "then: "+p.Reason)
	return ids.ReplaceAllString(strings.Join(append(words, p.Left...), " | "), "ID")
}

// like is whether text is the words with any text for each *.
func like(words, text string) bool {
	parts := strings.Split(words, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("^" + strings.Join(parts, "(?s:.*)") + "$").MatchString(text)
}

// row is a folder, a job and a way to Nomad of its own.
type row struct {
	t       *testing.T
	kind    kind
	event   event
	id      job.ID
	dir     string
	direct  *nomad.Client // past what is in the way
	through *nomad.Client
	back    atomic.Bool // Nomad is away
	store   *history.Store
	set     *policies.Set
	before  []byte
	done    bool
}

func (s *suite) newRow(t *testing.T, k kind, e event) *row {
	t.Helper()
	name := strings.ReplaceAll(k.name+"-"+e.name, " ", "-")
	r := &row{t: t, kind: k, event: e, dir: t.TempDir(), id: job.ID{Namespace: "default", Name: name}}
	if strings.Contains(k.head, `namespace = "apps"`) {
		r.id.Namespace = "apps"
	}
	head, groups := k.head, cmp.Or(k.groups, group("g", ""))
	between := e.name == "stopped meanwhile" || e.name == "overtaken" // done before the gate has passed
	if s.real || between {                                            // a real one is slower to notice an end
		head = strings.ReplaceAll(head, "300ms", "2s")
	}
	if between {
		groups = strings.ReplaceAll(groups, "sleep 0.2", "sleep 2")
	}
	r.before = []byte(fmt.Sprintf("job %q {\n  %s\n%s}\n", name, head, groups))
	if err := os.WriteFile(r.file(), r.before, 0o644); err != nil {
		t.Fatal(err)
	}
	u := s.urls[k.old != ""]
	front := httptest.NewServer(r.front(u))
	t.Cleanup(front.Close)
	r.direct, r.through, r.store = connect(t, u), connect(t, front.URL), openStore(t, t.TempDir())
	more := e.gates
	if k.name == "defaults" { // healthy after ten seconds, also on the way back
		more = strings.Replace(more, `"6s"`, `"15s"`, 1)
	}
	text := fmt.Sprintf("%s\nrollout \"suite\" {\n  match {\n    job = [%q]\n  }\n  %s\n  %s\n}\n", e.policy, name, k.rollout, more)
	set, diags := policies.Load([]policies.Source{{Name: "suite.policy.hcl", Bytes: []byte(text)}}, policies.Options{Gates: gates.Kinds()})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	r.set = set
	return r
}

func (r *row) file() string { return filepath.Join(r.dir, "job.hcl") }

// front passes requests on, or cuts them where Nomad is away.
func (r *row) front(address string) http.Handler {
	u, err := url.Parse(address)
	if err != nil {
		r.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(u) },
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.back.Load() {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, req)
	})
}

func (r *row) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // the watchdog
	r.t.Cleanup(cancel)
	return ctx
}

func (r *row) register() {
	r.t.Helper()
	f, diags := jobspec.Parse("job.hcl", r.before, jobspec.Inputs{})
	if diags.HasErrors() {
		r.t.Fatal(diags)
	}
	if _, err := r.direct.Register(r.ctx(), f.Job, f.Submission, 0); err != nil {
		r.t.Fatal(err)
	}
}

// settled waits until the job is as it will be: running, complete, or only waiting
// for its launch.
func (r *row) settled() {
	r.t.Helper()
	for ctx := r.ctx(); !r.isSettled(r.live()); {
		brief, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		<-brief.Done()
		cancel()
		if ctx.Err() != nil {
			r.t.Fatalf("it is not as it should be: %+v", r.live().State)
		}
	}
}

func (r *row) isSettled(live *reconcile.Live) bool {
	j := live.Job
	switch {
	case j.Periodic != nil || j.ParameterizedJob != nil:
		return true
	case !live.State.Healthy || len(live.Allocations) == 0 && gates.Count(j) > 0:
		return false
	case *j.Type == api.JobTypeBatch || *j.Type == api.JobTypeSysbatch:
		return !slices.ContainsFunc(live.Allocations, func(a *api.AllocationListStub) bool { return a.ClientStatus != api.AllocClientStatusComplete })
	}
	return r.kind.name == "defaults" || r.deployed()
}

// deployed: no deployment is under way.
func (r *row) deployed() bool {
	list, _, err := r.direct.Deployments(r.ctx(), r.id, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return !slices.ContainsFunc(list, func(d *api.Deployment) bool { return d.Status == api.DeploymentStatusRunning })
}

func (r *row) live() *reconcile.Live {
	r.t.Helper()
	live, err := reconcile.ReadLive(r.ctx(), r.direct, r.id)
	if err != nil || live == nil {
		r.t.Fatal("the job is gone from Nomad: ", err)
	}
	return live
}

func (r *row) plan(s reconcile.Sync) reconcile.Plan {
	r.t.Helper()
	p := &reconcile.Planner{
		Sources:  []reconcile.Source{{Directory: source.Directory{Name: "jobs", Path: r.dir, Shown: "jobs", Include: []string{"*.hcl"}}}},
		Policies: r.set, Nomad: r.through, History: r.store, Namespaces: []string{r.id.Namespace}, Concurrency: 1,
	}
	result, err := p.Plan(r.ctx(), reconcile.Selection{Jobs: []string{r.id.String()}}, s)
	if err != nil {
		r.t.Fatal(err)
	}
	if len(result.Plans) != 1 {
		r.t.Fatalf("%d plans", len(result.Plans))
	}
	return result.Plans[0]
}

func (r *row) apply() (history.Run, error) {
	r.t.Helper()
	a := &reconcile.Applier{Nomad: r.through, History: r.store, Kind: "apply", Clock: time.Now}
	if r.event.during != nil {
		a.Progress = func(e reconcile.Event) { r.event.during(r, e) }
	}
	p := r.plan(reconcile.Sync{Fix: true, Person: true, Rerun: r.kind.rerun, Drift: reconcile.Report, Create: reconcile.Report, Prune: reconcile.Report})
	if p.Hold != nil {
		r.t.Fatalf("held: %s", p.Hold.Reason)
	}
	return a.Apply(r.ctx(), p)
}

// stop is an operator's.
func (r *row) stop() {
	live := r.live().Job
	if _, err := r.direct.Stop(r.ctx(), live, *live.JobModifyIndex); err != nil {
		r.t.Error(err)
	}
}

// interfere is somebody else who registers the job.
func (r *row) interfere() {
	j := job.Clone(r.live().Job)
	j.Stop, j.Priority = new(false), new(70)
	if _, err := r.direct.Register(r.ctx(), j, nil, *j.JobModifyIndex); err != nil {
		r.t.Error(err)
	}
}

// away takes Nomad away for a while.
func (r *row) away() {
	r.back.Store(true)
	time.AfterFunc(1500*time.Millisecond, func() { r.back.Store(false) })
}

// nothingHalf: the file is old or new, and no job that was not stopped by somebody
// else is.
func (r *row) nothingHalf(run history.Run) {
	r.t.Helper()
	text, err := os.ReadFile(r.file())
	if err != nil {
		r.t.Fatal(err)
	}
	untouched := run.Result == history.RolledBack || run.Result == history.Unchanged
	if old := string(text) == string(r.before); old != untouched && run.Result != history.Failed {
		r.t.Errorf("%s, and the file:\n%s", run.Result, text)
	}
	byOperator := strings.HasPrefix(r.event.name, "stopped") && (r.done || r.event.first != nil)
	if live := r.live(); live.State.Stopped != byOperator {
		r.t.Errorf("stopped %v", live.State.Stopped)
	}
	if _, err := r.store.Find(run.ID); err != nil && run.ID != "" {
		r.t.Error(errors.Join(errors.New("the run is not in the history"), err))
	}
}
