package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/nomad/nomadtest/agent"
	"nomad-reconcile/state/source"
)

// BenchmarkRun is a run with no gate but the deployment, less the time that Nomad
// itself took for it by its own objects: from the evaluation's creation to the
// deployment's end. "process" is `reconcile apply` from its start to its exit,
// planning included; "Apply" is the run alone. It is to stay under 300 ms.
func BenchmarkRun(b *testing.B) {
	program := filepath.Join(b.TempDir(), "reconcile") // as a user has it
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	measure := func(b *testing.B, nomadOf aNomad) {
		b.Run("process", func(b *testing.B) { benchmarkRun(b, nomadOf, func(l *lap) error { return l.process(program) }) })
		b.Run("Apply", func(b *testing.B) { benchmarkRun(b, nomadOf, (*lap).apply) })
	}
	b.Run("nomadtest", func(b *testing.B) { measure(b, ownDouble) })
	if agent.Find(os.Getenv("NOMAD_BIN")) == "" {
		b.Log("real Nomad: not found, measured on the double alone")
		return
	}
	b.Run("real", func(b *testing.B) { measure(b, realAgent(b)) })
}

func benchmarkRun(b *testing.B, nomadOf aNomad, run func(*lap) error) {
	without := func(text string) string { return strings.Replace(text, `"-E", `, "", 1) }
	p, err := newPlay(b, scenario{job: without}, strings.ToLower(filepath.Base(b.Name())))
	if err != nil {
		b.Fatal(err)
	}
	end, err := p.start(nomadOf)
	if end != nil {
		defer end()
		defer p.makeRoom()
	}
	if err != nil {
		b.Fatal(err)
	}
	var ours, all []time.Duration
	for n := 0; b.Loop(); n++ {
		l := &lap{stage: p}
		if err := l.prepare(n); err != nil {
			b.Fatal(err)
		}
		if err := run(l); err != nil {
			b.Fatal(err)
		}
		nomads, err := p.nomadTook()
		if err != nil {
			b.Fatal(err)
		}
		ours, all = append(ours, l.took-nomads), append(all, l.took)
	}
	slices.Sort(ours)
	slices.Sort(all)
	usual := ours[len(ours)/2]
	b.ReportMetric(0, "ns/op") // Nomad's time too: says little
	b.ReportMetric(float64(usual.Microseconds())/1000, "ours-ms")
	b.Logf("ours %v (least %v, most %v) of %v in all; medians of %d runs", usual, ours[0], ours[len(ours)-1], all[len(all)/2], len(all))
}

// lap is one run that changes the job.
type lap struct {
	*stage
	took time.Duration
}

// prepare has a policy ask for what the job does not have yet.
func (l *lap) prepare(n int) error {
	text := fmt.Sprintf("policy \"lap\" {\n  fix = true\n  env {\n    values = { LAP = \"%d\" }\n  }\n}\n", n)
	return os.WriteFile(filepath.Join(l.dir, "policies", "sudo.policy.hcl"), []byte(text), 0o644)
}

func (l *lap) process(program string) error {
	cmd := exec.Command(program, "apply", "-auto-approve", l.name)
	cmd.Dir, cmd.Env = l.dir, append(os.Environ(), "NOMAD_ADDR="+l.url)
	start := time.Now()
	out, err := cmd.CombinedOutput()
	l.took = time.Since(start)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

func (l *lap) apply() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, store, err := l.plan(ctx)
	if err != nil {
		return err
	}
	a := &reconcile.Applier{Nomad: l.client, History: store, Kind: "apply", Clock: time.Now}
	start := time.Now()
	run, err := a.Apply(ctx, p)
	l.took = time.Since(start)
	if err == nil && run.Result != history.Converged {
		err = fmt.Errorf("%s: %s", run.Result, run.Reason)
	}
	return err
}

func (l *lap) plan(ctx context.Context) (reconcile.Plan, *history.Store, error) {
	text, err := os.ReadFile(filepath.Join(l.dir, "policies", "sudo.policy.hcl"))
	if err != nil {
		return reconcile.Plan{}, nil, err
	}
	set, diags := policies.Load([]policies.Source{{Name: "lap.policy.hcl", Bytes: text}}, policies.Options{})
	if diags.HasErrors() {
		return reconcile.Plan{}, nil, diags
	}
	store, err := history.Open(filepath.Join(l.dir, ".reconcile"), 20, time.Now)
	if err != nil {
		return reconcile.Plan{}, nil, err
	}
	planner := &reconcile.Planner{
		Sources:  []reconcile.Source{{Directory: source.Directory{Name: "jobs", Path: filepath.Join(l.dir, "jobs"), Shown: "jobs", Include: []string{"*.hcl"}}}},
		Policies: set, Nomad: l.client, History: store, Namespaces: []string{"default"}, Concurrency: 1,
	}
	out, err := planner.Plan(ctx, reconcile.Selection{Jobs: []string{l.name}}, reconcile.Sync{Fix: true, Person: true})
	if err != nil {
		return reconcile.Plan{}, nil, err
	}
	return out.Plans[0], store, nil
}

// nomadTook is how long Nomad was busy with the newest version of the job.
func (p *stage) nomadTook() (time.Duration, error) {
	c, err := api.NewClient(&api.Config{Address: p.url})
	if err != nil {
		return 0, err
	}
	j, _, err := c.Jobs().Info(p.name, nil)
	if err != nil {
		return 0, err
	}
	d, _, err := c.Jobs().LatestDeployment(p.name, nil)
	if err != nil {
		return 0, err
	}
	evals, _, err := c.Jobs().Evaluations(p.name, nil)
	if err != nil {
		return 0, err
	}
	for _, e := range evals {
		if e.JobModifyIndex == *j.JobModifyIndex && e.TriggeredBy == "job-register" && d.JobSpecModifyIndex == *j.JobModifyIndex {
			return time.Duration(d.ModifyTime - e.CreateTime), nil
		}
	}
	return 0, fmt.Errorf("no evaluation and deployment of %s version %d", p.name, *j.Version)
}
