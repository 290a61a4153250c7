package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
	"nomad-reconcile/state/nomad/nomadtest/agent"
)

var (
	kills = flag.Int("kills", 30, "how often the kill test kills a run")
	seed  = flag.Uint64("seed", 1, "where the kill test's moments come from")

	killAgent = flag.Bool("kill.agent", false, "kill runs on a real Nomad: $NOMAD_BIN, or the one on PATH")
)

// outcome is what a scenario comes to in the end, killed in the middle or not.
type outcome struct {
	code int
	args string // of the live job
	env  string // its FATAL
	back bool   // the file has its old bytes
}

// scenario is a run to be killed.
type scenario struct {
	name   string
	job    func(string) string // what the web job's file is at first
	policy string
	want   outcome
}

const killPolicy = `rollout "web" {
  match {
    job = ["web"]
  }
  strategy = %q

  gate "logs" "quiet" {
    forbid = ["^fatal: "]
    window = %q
  }
}

policy "web" {
  fix = true
  %s
}
`

func scenarios() []scenario {
	without := func(text string) string { return strings.Replace(text, `"-E", `, "", 1) }
	same := func(text string) string { return text }
	noSudo, broken := "sudo {\n    preserve_env = false\n  }", "env {\n    values = { FATAL = \"it is\" }\n  }"
	var all []scenario
	for _, strategy := range []string{"update", "restart"} {
		all = append(all,
			scenario{strategy, same, fmt.Sprintf(killPolicy, strategy, "200ms", noSudo), outcome{exitOK, "[app one]", "", false}},
			scenario{strategy + ", gate fails", without, fmt.Sprintf(killPolicy, strategy, "10s", broken), outcome{exitRolledBack, "[app one]", "", true}},
		)
	}
	return all
}

// Whenever a run is killed, the next apply settles it: nothing is lost, no job is
// left stopped, and all ends as it would have without the kill.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	nomadOf, limit := ownDouble, 6
	if *killAgent {
		nomadOf, limit = realAgent(t), 3
	}
	all := scenarios()
	undisturbed := make([]result, len(all))
	if err := together(len(all), limit, func(i int) (err error) {
		undisturbed[i], err = play(t, all[i], nomadOf, fmt.Sprintf("web-%d", i), moment{nth: -1}, 0)
		return err
	}); err != nil {
		t.Fatalf("without a kill: %v", err)
	}
	var died atomic.Int32
	err := together(*kills, limit, func(i int) error {
		random := rand.New(rand.NewPCG(*seed, uint64(i)))
		n := i % len(all)
		m := draw(random, undisturbed[n])
		got, err := play(t, all[n], nomadOf, fmt.Sprintf("killed-%d", i), m, undisturbed[n].version)
		if got.killed {
			died.Add(1)
		}
		if err != nil {
			return fmt.Errorf("-seed=%d, kill %d: %s, %s: %w", *seed, i, all[n].name, m, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d of %d runs were killed", died.Load(), *kills)
	if int(died.Load()) < *kills/2 {
		t.Error("too few runs were killed to prove anything")
	}
}

// aNomad gives a Nomad for one play, whose tasks find the commands in a folder, and
// ends what it started for it.
type aNomad func(bin string) (url string, end func(), err error)

func ownDouble(bin string) (string, func(), error) {
	server, err := nomadtest.Start(nomadtest.Options{PATH: bin, Parse: parseForNomad})
	if err != nil {
		return "", nil, err
	}
	return server.URL(), func() { server.Close() }, nil
}

// realAgent is one for all plays: they differ in the names of their jobs.
func realAgent(t testing.TB) aNomad {
	t.Helper()
	binary := agent.Find(os.Getenv("NOMAD_BIN"))
	if binary == "" {
		t.Fatal("-kill.agent needs a real Nomad: put one on PATH or set NOMAD_BIN")
	}
	world := t.TempDir()
	if err := copyWorld(world); err != nil {
		t.Fatal(err)
	}
	real, err := agent.Start(agent.Options{Binary: binary, Dir: t.TempDir(), PATH: filepath.Join(world, "bin") + ":" + os.Getenv("PATH")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := real.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("real Nomad: %s", real.Version)
	return func(string) (string, func(), error) { return real.URL(), func() {}, nil }
}

// together does n things, some at a time, and returns all their errors.
func together(n, limit int, do func(int) error) error {
	errs := make([]error, n)
	var g errgroup.Group
	g.SetLimit(limit)
	for i := range n {
		g.Go(func() error {
			errs[i] = do(i)
			return nil
		})
	}
	_ = g.Wait()
	return errors.Join(errs...)
}

// moment is when the program dies: at the nth of its requests to Nomad, or of its
// writes to Nomad; before or after that takes effect, or a little after the answer,
// when it is busy with files and journal.
type moment struct {
	write bool
	nth   int
	phase phase
	later time.Duration
}

type phase int

const (
	lost       phase = iota // the request does not arrive
	unanswered              // the request takes effect, nobody hears of it
	later                   // after the answer
	phases
)

// draw takes half of the moments from the writes, which are few and matter most.
func draw(r *rand.Rand, undisturbed result) moment {
	m := moment{write: r.IntN(2) == 0, phase: phase(r.IntN(int(phases))), later: time.Duration(r.IntN(8000)) * time.Microsecond}
	if m.write {
		m.nth = r.IntN(undisturbed.writes)
	} else {
		m.nth = r.IntN(undisturbed.requests)
	}
	return m
}

func (m moment) String() string {
	what := "request"
	if m.write {
		what = "write"
	}
	return fmt.Sprintf("at %s %d, %s", what, m.nth, [...]string{"lost", "unanswered", m.later.String() + " later"}[m.phase])
}

// result is how a scenario went.
type result struct {
	requests, writes int
	version          uint64
	killed           bool
}

// play runs apply, kills it at that moment, runs apply again and looks at what has
// become of everything.
func play(t *testing.T, sc scenario, nomadOf aNomad, name string, m moment, version uint64) (result, error) {
	p, err := newPlay(t, sc, name)
	if err != nil {
		return result{}, err
	}
	end, err := p.start(nomadOf)
	if end != nil {
		defer end()
		defer p.makeRoom()
	}
	if err != nil {
		return result{}, err
	}
	k := p.killer(m)
	front := httptest.NewServer(k)
	defer front.Close()
	code, output, err := p.apply(front.URL, k)
	if err != nil {
		return result{}, err
	}
	out := result{killed: code < 0}
	out.requests, out.writes = k.counts()
	if err := p.nothingLost(); err != nil {
		return out, fmt.Errorf("%w\nkilled:\n%s", err, output)
	}
	if m.nth >= 0 {
		var again string
		if code, again, err = p.apply(p.url, nil); err != nil {
			return out, err
		}
		output += "\nagain:\n" + again
	}
	live, err := p.live()
	if err != nil {
		return out, err
	}
	out.version = live.State.Version
	if err := errors.Join(p.ended(code, live), p.nothingLost(), p.fewVersions(live, version)); err != nil {
		return out, fmt.Errorf("%w\nkilled:\n%s", err, output)
	}
	return out, nil
}

// stage is a folder and a Nomad for one scenario.
type stage struct {
	scenario
	name, dir     string
	url           string
	client        *nomad.Client
	before, after []byte // the job file
}

func newPlay(t testing.TB, sc scenario, name string) (*stage, error) {
	p := &stage{scenario: sc, name: name, dir: t.TempDir()}
	if err := copyWorld(p.dir); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(p.dir, "policies", "sudo.policy.hcl"), []byte(strings.ReplaceAll(sc.policy, `["web"]`, `["`+name+`"]`)), 0o644); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(p.file())
	if err != nil {
		return nil, err
	}
	p.before = []byte(strings.Replace(sc.job(string(text)), `job "web"`, `job "`+name+`"`, 1))
	p.after = bytes.Replace(p.before, []byte(`"-E", `), nil, 1)
	return p, os.WriteFile(p.file(), p.before, 0o644)
}

// start runs the job as its file says.
func (p *stage) start(nomadOf aNomad) (end func(), err error) {
	if p.url, end, err = nomadOf(filepath.Join(p.dir, "bin")); err != nil {
		return nil, err
	}
	if p.client, err = nomad.New(&api.Config{Address: p.url}); err != nil {
		return end, err
	}
	f, diags := jobspec.Parse("web.hcl", p.before, jobspec.Inputs{})
	if diags.HasErrors() {
		return end, diags
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return end, jobRun(ctx, p.client, f.Job, f.Submission)
}

// makeRoom stops the job, for the next on the same Nomad.
func (p *stage) makeRoom() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if live, err := p.client.Job(ctx, jobID(p.name)); err == nil {
		_, _ = p.client.Stop(ctx, live, *live.JobModifyIndex) // the run may still be open, and then so be it
	}
}

func (p *stage) file() string { return filepath.Join(p.dir, "jobs", "web.hcl") }

// apply runs the program; the code is negative where it was killed.
func (p *stage) apply(address string, k *killer) (code int, output string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "reconcile", "apply", "-auto-approve", p.name)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "NOMAD_ADDR="+address)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return 0, "", err
	}
	if k != nil {
		k.meet(cmd.Process)
	}
	err = cmd.Wait()
	if k != nil {
		close(k.dead)
	}
	if ctx.Err() != nil {
		return 0, "", fmt.Errorf("apply does not end:\n%s", out.String())
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), out.String(), nil
	}
	return 0, out.String(), err
}

func (p *stage) live() (*reconcile.Live, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	live, err := reconcile.ReadLive(ctx, p.client, jobID(p.name))
	if err == nil && live == nil {
		err = errors.New("the job is gone from Nomad")
	}
	return live, err
}

// ended: all is as the scenario wants it, and no run is open.
func (p *stage) ended(code int, live *reconcile.Live) error {
	var errs []error
	task := live.Job.TaskGroups[0].Tasks[0]
	text, err := os.ReadFile(p.file())
	if err != nil {
		return err
	}
	got := outcome{code: code, args: fmt.Sprint(task.Config["args"]), env: task.Env["FATAL"], back: string(text) == string(p.before)}
	if got != p.want {
		errs = append(errs, fmt.Errorf("it came to %+v, want %+v", got, p.want))
	}
	if live.State.Stopped || !live.State.Healthy {
		errs = append(errs, fmt.Errorf("stopped %v, healthy %v: %s", live.State.Stopped, live.State.Healthy, live.State.Why))
	}
	if !p.want.back && string(text) != string(p.after) {
		errs = append(errs, fmt.Errorf("the file is neither old nor new:\n%s", text))
	}
	return errors.Join(append(errs, p.wholeHistory())...)
}

// wholeHistory: every run has ended, with all that it announced told of.
func (p *stage) wholeHistory() error {
	runs, err := p.runs()
	if len(runs) == 0 {
		err = errors.Join(err, errors.New("the history knows of no run"))
	}
	for _, r := range runs {
		if r.Open || r.Result == "" {
			err = errors.Join(err, fmt.Errorf("run %s is open: %+v", r.ID, r.Intents))
		}
		if r.Result == history.Converged && len(r.Gates) == 0 {
			err = errors.Join(err, fmt.Errorf("run %s has converged and no gate has said so", r.ID))
		}
	}
	return err
}

func (p *stage) runs() ([]history.Run, error) {
	store, err := history.Open(filepath.Join(p.dir, ".reconcile"), 20, time.Now)
	if err != nil {
		return nil, err
	}
	return store.Runs(nil)
}

// nothingLost: the file is as it was or, whole, as a run wanted it, and then its old
// bytes are in a backup.
func (p *stage) nothingLost() error {
	text, err := os.ReadFile(p.file())
	if err != nil || string(text) == string(p.before) {
		return err
	}
	runs, err := p.runs()
	if err != nil {
		return err
	}
	saved, wanted := false, false
	for _, r := range runs {
		data, err := os.ReadFile(r.Backup)
		saved = saved || err == nil && string(data) == string(p.before)
		wanted = wanted || r.NewFile == history.Hash(text)
	}
	if !saved {
		return errors.New("the file has changed and its old bytes are in no backup")
	}
	if !wanted {
		return fmt.Errorf("the file is neither old nor new:\n%s", text)
	}
	return nil
}

// fewVersions: what was done already is not done again and again. Where a gate
// fails, the next apply rightly tries once more.
func (p *stage) fewVersions(live *reconcile.Live, undisturbed uint64) error {
	if undisturbed > 0 && !p.want.back && live.State.Version > undisturbed+1 {
		return fmt.Errorf("version %d, without a kill it is %d", live.State.Version, undisturbed)
	}
	return nil
}

// killer stands between the program and Nomad.
type killer struct {
	moment
	nomad            http.Handler
	victim           *os.Process
	met              chan struct{} // closed when victim is set
	dead             chan struct{} // closed when it has ended
	mu               sync.Mutex
	requests, writes int
}

func (p *stage) killer(m moment) *killer {
	return &killer{moment: m, nomad: proxyTo(p.url), met: make(chan struct{}), dead: make(chan struct{})}
}

func (k *killer) meet(victim *os.Process) {
	k.victim = victim
	close(k.met)
}

func (k *killer) kill() {
	<-k.met
	_ = k.victim.Kill() // it may have ended
	<-k.dead
}

func (k *killer) counts() (requests, writes int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.requests, k.writes
}

func (k *killer) isTheOne(r *http.Request) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	write := r.Method == http.MethodPut && r.URL.Path == "/v1/jobs"
	one := !k.write && k.requests == k.nth || k.write && write && k.writes == k.nth
	k.requests++
	if write {
		k.writes++
	}
	return one
}

// ServeHTTP passes requests on, and kills at the one of the moment.
func (k *killer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !k.isTheOne(r) {
		k.nomad.ServeHTTP(w, r)
		return
	}
	switch k.phase {
	case lost:
		k.kill()
	case unanswered:
		if r.Method != http.MethodGet { // which have no effect, and may wait for ever
			k.nomad.ServeHTTP(httptest.NewRecorder(), r)
		}
		k.kill()
	case later:
		k.nomad.ServeHTTP(w, r)
		time.AfterFunc(k.later, k.kill)
	}
}
