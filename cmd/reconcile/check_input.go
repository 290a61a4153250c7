package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/source"
)

// stdinArg stands for standard input among the arguments, stdinName in what is said
// of it.
const (
	stdinArg  = "-"
	stdinName = "<stdin>"
)

// checker is a check that is ready to look.
type checker struct {
	*checkFlags
	*project
	planner *reconcile.Planner
	sel     reconcile.Selection
	in      *invocation
	text    *source.Document // standard input; nil for files
	whole   bool             // everything is looked at: a policy that matches nothing is a mistake
	nothing bool             // none of the files that were named is a job file
	now     time.Time
}

func (in *invocation) openCheck(f *checkFlags) (*checker, error) {
	c := &checker{checkFlags: f, in: in, now: in.now()}
	stdin := slices.Contains(in.args, stdinArg)
	w := wants{config: f.config, policies: f.policy, args: in.args, noFiles: stdin || f.live}
	var err error
	if c.project, err = in.load(w); err != nil {
		return nil, err
	}
	switch {
	case stdin:
		err = c.readStdin()
	case f.live:
		c.sel.Jobs, c.whole = in.args, len(in.args) == 0
	case len(f.policy) > 0:
		c.whole = !slices.ContainsFunc(in.args, isFile)
	case f.ignoreUnknown && len(in.args) > 0:
		err = c.selectKnown()
	default:
		c.whole = len(in.args) == 0
		c.sel, err = c.selection(in.args)
	}
	if err != nil {
		return nil, err
	}
	c.planner = c.project.planner(in.shell, nil, nil)
	c.planner.ReadOnly, c.planner.Listed = !f.fix, collectSeldom
	if f.live {
		err = c.goLive()
	}
	return c, err
}

func isFile(arg string) bool {
	info, err := os.Stat(arg)
	return err == nil && !info.IsDir()
}

// goLive connects. Without a configuration, NOMAD_NAMESPACE says whose jobs are
// meant, as for Nomad's own commands, and without that all.
func (c *checker) goLive() error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	c.planner.Nomad = client
	if ns := c.in.getenv("NOMAD_NAMESPACE"); ns != "" && c.project.config.Path == "" {
		c.planner.Namespaces = []string{ns}
	}
	return nil
}

// readStdin makes standard input the only job file. It belongs to no source: its
// variables get their values from NOMAD_VAR_*, and it may read files below the
// working directory.
func (c *checker) readStdin() error {
	data, err := io.ReadAll(c.in.stdin)
	if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	c.text = &source.Document{Name: stdinName, Path: filepath.Join(dir, stdinName), Bytes: data}
	c.sources = []reconcile.Source{{Directory: source.Directory{Name: stdinName, Path: dir, Shown: "."}, Text: c.text}}
	return nil
}

// selectKnown selects the job files of the sources among the arguments, and what is
// in folders of them; the rest is passed over.
func (c *checker) selectKnown() error {
	var all []string
	for i := range c.sources {
		paths, err := c.sources[i].List()
		if err != nil {
			return err
		}
		all = append(all, paths...)
	}
	for _, arg := range c.in.args {
		abs, err := filepath.Abs(arg)
		if err != nil {
			return err
		}
		for _, path := range all {
			if path == abs || strings.HasPrefix(path, abs+string(filepath.Separator)) {
				c.sel.Files = append(c.sel.Files, path)
			}
		}
	}
	c.nothing = len(c.sel.Files) == 0
	return nil
}

// look holds what was asked for against the policies.
func (c *checker) look(ctx context.Context) (reconcile.Result, error) {
	if c.nothing {
		return reconcile.Result{}, nil
	}
	if c.live {
		result, err := c.planner.CheckLive(ctx, c.sel)
		if err == nil {
			err = c.unregistered(result)
		}
		return result, err
	}
	result, err := c.planner.Plan(ctx, c.sel, reconcile.Sync{Fix: true}) // no person's: a job that is named is not to be registered
	switch {
	case err != nil || c.ignoreUnknown:
	case c.text != nil && len(result.Skipped) > 0:
		err = fmt.Errorf("standard input holds no job: it %s", result.Skipped[0].Reason)
	default:
		err = c.in.unknown(c.sel, result)
	}
	return result, err
}

// unregistered is an error for a job that was named and that Nomad does not know.
func (c *checker) unregistered(r reconcile.Result) error {
	for _, name := range c.sel.Jobs {
		if !slices.ContainsFunc(r.Plans, func(p reconcile.Plan) bool {
			return p.ID.Called(name)
		}) {
			return fmt.Errorf("no job %q is registered in %s; `nomad job status` lists those that are", name, namespacesOf(c.planner.Namespaces))
		}
	}
	return nil
}

func namespacesOf(names []string) string {
	switch {
	case slices.Contains(names, "*"):
		return "any namespace that the token may see"
	case len(names) == 1:
		return "the namespace " + names[0]
	}
	return "the namespaces " + strings.Join(names, ", ")
}

// fixedText is standard input as -fix leaves it.
func (c *checker) fixedText(p reconcile.Plan) []byte {
	if after := p.After(); after != nil {
		return after
	}
	return c.text.Bytes
}

// unmatched are warnings of policies that match none of the jobs, where all were
// looked at.
func (c *checker) unmatched(r reconcile.Result) hcl.Diagnostics {
	if !c.whole {
		return nil
	}
	return matchless(r.Unmatched)
}

func matchless(all []policies.Info) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, p := range all {
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagWarning, Summary: "Policy matches no job", Subject: p.Range.Ptr(),
			Detail: fmt.Sprintf("Nothing is held against %q: its match block selects no task of any job. Correct it, or remove the policy.", p.Name),
		})
	}
	return diags
}

// files are what diagnostics point into.
func (c *checker) files(r reconcile.Result) map[string]*hcl.File {
	return withPolicies(r.Sources, c.planner.Policies)
}

func withPolicies(files map[string]*hcl.File, set *policies.Set) map[string]*hcl.File {
	out := set.Sources()
	maps.Copy(out, files)
	return out
}
