package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/config"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/source"
)

// statusFlags say of what, and how.
type statusFlags struct {
	config           string
	json, watch, all bool
}

func runStatus(in *invocation) int {
	var f statusFlags
	declareConfig(in.flags, &f.config)
	in.flags.BoolVar(&f.all, "all", false, "list jobs in sync also where they are many")
	in.flags.BoolVar(&f.json, "json", false, "print one JSON object instead of text; with -watch one in a line for each change")
	in.flags.BoolVar(&f.watch, "watch", false, "go on showing, until ^C; where this is no terminal, a line for each change of condition")
	code, ok := in.parse("[JOB|FILE...]", `
		Shows the condition of every job, or of those named, since when it is so, why, and
		what to type next. It asks the agent; where none is running it works it out, as
		plan does, with what the agent would be allowed to do. Nothing is changed.`)
	if !ok {
		return code
	}
	ctx, stop := interruptible()
	defer stop()
	w, err := in.openStatus(f)
	if err != nil {
		return in.refuse(err)
	}
	if f.watch {
		return in.watch(ctx, w)
	}
	defer in.giveUp(ctx)()
	now, err := w.ask(ctx)
	in.printErr("%s", now.said)
	if err != nil {
		return in.refuse(err)
	}
	if err := in.showStatus(ctx, w, now); err != nil {
		return in.refuse(err)
	}
	return worst(now.code, statusCode(now.doc))
}

// showStatus prints a status as one object, a table, or the page of the one job that
// was named.
func (in *invocation) showStatus(ctx context.Context, w *statusSource, s told) error {
	if w.json {
		return report.StatusJSON(in.stdout, s.doc)
	}
	if len(in.args) != 1 || len(s.doc.Jobs) != 1 {
		report.StatusText(in.stdout, s.doc, w.all || len(in.args) > 0, in.now(), in.out)
		return nil
	}
	one, err := s.job(ctx, s.doc.Jobs[0])
	if err == nil {
		report.JobStatusText(in.stdout, s.doc, one, in.now(), in.out)
	}
	return err
}

// statusCode is that of plan for the same jobs. What keeps the agent from knowing is
// an error, as it would be one of plan.
func statusCode(d report.Status) int {
	plans := make([]reconcile.Plan, len(d.Jobs))
	for i, j := range d.Jobs {
		plans[i].Condition = j.Condition
	}
	code := planCode(plans, false)
	if d.Agent.Blind() {
		code = exitError
	}
	return code
}

// told is a status, and how more is to be had of one of its jobs.
type told struct {
	doc  report.Status
	job  func(context.Context, report.StatusJob) (report.JobStatus, error)
	said string // what there is to say beside it, for standard error
	code int
	news bool // it is not what was told last
}

// statusSource is where the status comes from: the agent, or our own work.
type statusSource struct {
	*invocation
	statusFlags
	agent *agentAt
}

func (in *invocation) openStatus(f statusFlags) (*statusSource, error) {
	p, err := in.load(wants{config: f.config, stateOnly: true})
	if err != nil {
		return nil, err
	}
	return &statusSource{in, f, agentOf(p)}, nil
}

func (w *statusSource) ask(ctx context.Context) (told, error) {
	s, err := w.askAgent(ctx)
	if errors.Is(err, errNoAgent) {
		return w.workOut(ctx)
	}
	return s, err
}

func (w *statusSource) askAgent(ctx context.Context) (told, error) {
	d, news, err := w.agent.status(ctx)
	if err == nil && news && len(w.args) > 0 {
		d, err = w.only(d)
	}
	return told{doc: d, news: news, job: w.agent.job}, err
}

// only keeps the jobs that are named on the command line, each of which the agent
// must know.
func (w *statusSource) only(d report.Status) (report.Status, error) {
	kept := map[job.ID]bool{}
	for _, arg := range w.args {
		names, err := named(arg)
		if err != nil {
			return d, err
		}
		found := false
		for _, j := range d.Jobs {
			id := job.ID{Namespace: j.Namespace, Name: j.ID}
			if slices.ContainsFunc(names, id.Called) {
				kept[id], found = true, true
			}
		}
		if !found {
			return d, unknownToAgent(arg, d)
		}
	}
	return d.Only(func(j report.StatusJob) bool { return kept[job.ID{Namespace: j.Namespace, Name: j.ID}] }), nil
}

// named is the job ID, or those that the job file may declare.
func named(arg string) ([]string, error) {
	info, err := os.Stat(arg)
	if (err != nil || !info.Mode().IsRegular()) && !looksLikeFile(arg) {
		return []string{arg}, nil
	}
	data, err := os.ReadFile(arg)
	if err != nil {
		return nil, fmt.Errorf("reading the job file %s: %w", arg, unwrapPath(err))
	}
	var names []string
	for _, id := range declared("", source.Document{Name: arg, Bytes: data}) {
		names = append(names, id.Name)
	}
	return names, nil
}

func unknownToAgent(arg string, d report.Status) error {
	if !d.Agent.Knows() {
		return fmt.Errorf("the agent has not come to a job %q yet: its first pass is under way; `reconcile status -watch` shows how far it is", arg)
	}
	var names []string
	for _, j := range d.Jobs {
		names = append(names, job.ID{Namespace: j.Namespace, Name: j.ID}.String())
	}
	meant := ""
	if len(names) > 0 {
		meant = fmt.Sprintf(" Did you mean %q?", nearest(arg, names))
	}
	return fmt.Errorf("the agent knows no job %q.%s `reconcile status -all` lists what there is", arg, meant)
}

// workOut makes plans of what the agent would do if it were running.
func (w *statusSource) workOut(ctx context.Context) (told, error) {
	var said bytes.Buffer
	in, sh := *w.invocation, *w.shell
	sh.stderr, in.shell = &said, &sh
	s, err := in.open(wants{config: w.config, args: in.args}, true)
	if err != nil {
		return told{said: said.String()}, err
	}
	s.planner.ReadOnly = true
	result, code, err := in.plan(ctx, s, agentsSync(s.config))
	if err != nil {
		return told{said: said.String()}, err
	}
	runs, err := s.store.Runs(nil)
	if err != nil {
		code = in.fail(err)
	}
	own := work{plans: result.Plans, runs: runs}
	return told{doc: report.StatusAlone(own.statuses(in)), job: own.job, said: said.String(), code: code, news: true}, nil
}

func agentsSync(c *config.Config) reconcile.Sync {
	return reconcile.Sync{Fix: c.Sync.Fix == reconcile.Apply, Drift: c.Sync.Drift, Create: c.Sync.Create, Prune: c.Sync.Prune}
}

// lastRuns is how many the page of one job has, as the agent's document does.
const lastRuns = 5

// work is a status that was worked out here.
type work struct {
	plans []reconcile.Plan
	runs  []history.Run
	looks []controller.Status
}

func (o *work) statuses(in invocation) []controller.Status {
	now := in.now()
	for _, p := range o.plans {
		s := controller.StatusOf(p, o.of(p.ID))
		s.Looked = now
		o.looks = append(o.looks, s)
	}
	return o.looks
}

// of are the runs of one job.
func (o *work) of(id job.ID) []history.Run {
	var out []history.Run
	for _, r := range o.runs {
		if r.Job == id {
			out = append(out, r)
		}
	}
	return out
}

// job is what the agent tells of one job, worked out here.
func (o *work) job(_ context.Context, j report.StatusJob) (report.JobStatus, error) {
	id := job.ID{Namespace: j.Namespace, Name: j.ID}
	i := slices.IndexFunc(o.looks, func(s controller.Status) bool { return s.ID == id })
	runs := o.of(id)
	return report.JobStatusOf(o.looks[i], &o.plans[i], runs[:min(len(runs), lastRuns)]), nil
}
