package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
)

// outFile refuses a file for plan -out that holds something else than a plan: what
// was mistyped is mostly a job file.
func outFile(path string) error {
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("saving the plan as %s: %w", path, unwrapPath(err))
	}
	data, err := readPlanFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("saving the plan: %w; name a file", err)
	case len(data) > 0 && !reconcile.LooksSaved(data):
		return fmt.Errorf("%s is there and is no saved plan; name another file, or remove it first", path)
	}
	return nil
}

// readPlanFile: a folder, a fifo or a device is not opened.
func readPlanFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, unwrapPath(err))
	}
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, unwrapPath(err))
	}
	return data, nil
}

// save writes the plans for apply -plan.
func (in *invocation) save(s *session, path string, f planFlags, plans []reconcile.Plan) error {
	asked, err := in.asked(s, f)
	if err != nil {
		return err
	}
	data, err := reconcile.Save(asked, s.policyFiles, plans)
	if err != nil {
		return err
	}
	if err := writePrivate(path, data); err != nil {
		return fmt.Errorf("saving the plan as %s: %w", path, unwrapPath(err))
	}
	in.printErr("Saved as %s, readable by you alone: it holds job files and specifications whole, secrets included.\n", path)
	return nil
}

// writePrivate replaces a file as a whole, whatever mode the old one had.
func writePrivate(path string, data []byte) error {
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

func (in *invocation) asked(s *session, f planFlags) (reconcile.Asked, error) {
	dir, err := os.Getwd()
	if err != nil {
		return reconcile.Asked{}, fmt.Errorf("asking for the working directory: %w", err)
	}
	return reconcile.Asked{
		Dir: dir, Config: f.config, Args: in.args, Nomad: s.client.Address(),
		CorrectDrift: f.correctDrift, Start: f.start, Rerun: f.rerun,
	}, nil
}

// savedPlan is a saved plan that is to be applied.
type savedPlan struct {
	reconcile.Saved
	path string
}

// openSaved reads a saved plan and makes this invocation ask what it was asked, in
// the folder in which it was asked.
func (in *invocation) openSaved(path string, f *planFlags) (*savedPlan, error) {
	if err := in.nothingBeside(); err != nil {
		return nil, err
	}
	data, err := readPlanFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; `reconcile plan -out FILE` saves a plan", err)
	}
	s, err := reconcile.LoadSaved(data)
	if err != nil {
		return nil, fmt.Errorf("reading the saved plan %s: %w; make a new one: reconcile plan -out FILE", path, err)
	}
	if err := os.Chdir(s.Asked.Dir); err != nil {
		return nil, fmt.Errorf("%s was made in %s: %w; make a new one here: reconcile plan -out FILE", path, s.Asked.Dir, unwrapPath(err))
	}
	in.args = s.Asked.Args
	*f = planFlags{config: s.Asked.Config, json: f.json, correctDrift: s.Asked.CorrectDrift, start: s.Asked.Start, rerun: s.Asked.Rerun}
	return &savedPlan{Saved: s, path: path}, nil
}

// nothingBeside: what is done is in the plan; only how it is told can be chosen.
func (in *invocation) nothingBeside() error {
	var beside []string
	in.flags.Visit(func(f *flag.Flag) {
		if !slices.Contains([]string{"plan", "json", "auto-approve"}, f.Name) {
			beside = append(beside, "-"+f.Name)
		}
	})
	if beside = append(beside, in.args...); len(beside) == 0 {
		return nil
	}
	return fmt.Errorf("a saved plan says what was asked, so beside -plan there is no %s; give it to `reconcile plan -out FILE`", strings.Join(beside, ", "))
}

// again is the command that makes the saved plan anew.
func (p *savedPlan) again() string {
	words := []string{"reconcile plan -out", p.path}
	a := p.Asked
	if a.Config != defaultConfig {
		words = append(words, "-config", a.Config)
	}
	for _, f := range []struct {
		set  bool
		name string
	}{{a.CorrectDrift, "-correct-drift"}, {a.Start, "-start"}, {a.Rerun, "-rerun"}} {
		if f.set {
			words = append(words, f.name)
		}
	}
	return strings.Join(append(words, a.Args...), " ")
}

// refused is the error of a saved plan that is not applied.
func (p *savedPlan) refused(why string) error {
	return fmt.Errorf("%s no longer fits: %s; nothing of it was done. Make a new one: %s", p.path, why, p.again())
}

// unfit says how a saved plan differs from the plan that is made now; nil: it does
// not.
func (in *invocation) unfit(s *session, f planFlags, plans []reconcile.Plan, settled []history.Run) error {
	asked, err := in.asked(s, f)
	if err != nil {
		return err
	}
	data, err := reconcile.Save(asked, s.policyFiles, plans)
	if err != nil {
		return err
	}
	now, err := reconcile.LoadSaved(data) // numbers as a file has them
	if err != nil {
		return err
	}
	stale := s.saved.Against(now)
	if !stale.Any() {
		return nil
	}
	if f.json {
		err = report.StaleJSON(in.stdout, stale, settled)
	} else {
		report.Stale(in.stdout, stale, in.out)
	}
	return errors.Join(err, s.saved.refused(why(stale, settled)))
}

func why(stale reconcile.Stale, settled []history.Run) string {
	var out []string
	for _, r := range settled {
		out = append(out, "run "+r.ID+" had not ended and was settled first")
	}
	if stale.Nomad != "" {
		out = append(out, "it was made with another Nomad")
	}
	if n := len(stale.Jobs); n == 1 {
		out = append(out, "1 job moved since")
	} else if n > 1 {
		out = append(out, fmt.Sprintf("%d jobs moved since", n))
	}
	return strings.Join(out, ", ")
}

// openAsked opens the project of a plan, saved or not.
func (in *invocation) openAsked(saved *savedPlan, f planFlags) (*session, error) {
	s, err := in.open(wants{config: f.config, args: in.args}, true)
	if saved == nil || errors.Is(err, errShown) {
		return s, err
	}
	if err != nil {
		return nil, saved.refused(err.Error())
	}
	s.saved = saved
	s.planner.Whole = true
	return s, nil
}

// planToApply is the plan that apply carries out: of a saved one, that of now if it
// is the same.
func (in *invocation) planToApply(ctx context.Context, s *session, f planFlags, settled []history.Run) ([]reconcile.Plan, int, error) {
	result, code, err := in.plan(ctx, s, f.syncOf(s.config))
	if err == nil && s.saved != nil {
		err = in.unfit(s, f, result.Plans, settled)
	}
	return result.Plans, code, err
}
