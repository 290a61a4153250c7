package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/config"
	"nomad-reconcile/policies"
	"nomad-reconcile/policies/library"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/source"
)

// waiveFlags are those of -write-exceptions.
type waiveFlags struct {
	write           bool
	expires, reason string
}

// defaultReason is what an exception says that nobody has looked at yet.
const defaultReason = "there before the policy was"

func (f *waiveFlags) declare(fs *flag.FlagSet) {
	fs.BoolVar(&f.write, "write-exceptions", false, "write exceptions for what makes the check fail today into the policy files")
	fs.StringVar(&f.expires, "expires", "", "the last `DAY` of these exceptions, such as 2027-03-31")
	fs.StringVar(&f.reason, "reason", "", fmt.Sprintf("the `TEXT` of their reason, default %q", defaultReason))
}

func (f *waiveFlags) misused(now time.Time) string {
	day, err := time.Parse(time.DateOnly, f.expires)
	switch {
	case !f.write && f.expires+f.reason != "":
		return "-expires and -reason go with -write-exceptions."
	case !f.write:
		return ""
	case f.expires == "":
		return "-write-exceptions needs -expires DAY: an exception has a last day."
	case err != nil:
		return fmt.Sprintf("-expires is a day such as 2027-03-31, not %q.", f.expires)
	case policies.Exception{Expires: day}.Ended(now):
		return fmt.Sprintf("-expires %s has gone by: an exception that has ended waives nothing.", f.expires)
	}
	return ""
}

// waived is what one exception is to waive.
type waived struct {
	policy, rule string
	namespace    string // empty where there is only one
}

// waivers are all exceptions to be written.
type waivers struct {
	jobs     map[waived][]string // IDs, sorted
	findings int
	allJobs  int
}

// waiversFor are exceptions for what makes the check fail.
func waiversFor(found report.Check) waivers {
	w := waivers{jobs: map[waived][]string{}}
	namespaces := map[string]bool{}
	for _, p := range found.Plans {
		namespaces[p.ID.Namespace] = true
	}
	for _, p := range found.Plans {
		before := w.findings
		for _, f := range p.Findings {
			if !found.Fails(p, f) || !policies.Waivable(f.Rule) {
				continue
			}
			w.findings++
			key := waived{policy: f.Policy, rule: f.Rule}
			if len(namespaces) > 1 {
				key.namespace = p.ID.Namespace
			}
			if !slices.Contains(w.jobs[key], p.ID.Name) {
				w.jobs[key] = append(w.jobs[key], p.ID.Name)
			}
		}
		if w.findings > before {
			w.allJobs++
		}
	}
	return w
}

// of are the exceptions of one policy, in the order of rules and namespaces.
func (w waivers) of(policy, reason string, expires time.Time) []policies.Waiver {
	var out []policies.Waiver
	for key, jobs := range w.jobs {
		if key.policy == policy {
			out = append(out, policies.Waiver{Jobs: slices.Sorted(slices.Values(jobs)), Namespace: key.namespace, Rule: key.rule, Reason: reason, Expires: expires})
		}
	}
	slices.SortFunc(out, func(a, b policies.Waiver) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Namespace, b.Namespace))
	})
	return out
}

// writeExceptions waives what makes the check fail, in the files where the policies
// stand. Nothing is written unless it would all be waived then.
func (in *invocation) writeExceptions(ctx context.Context, c *checker, r reconcile.Result) int {
	code := in.mistakes(r.Diagnostics, c.files(r))
	found := c.found(r)
	w := waiversFor(found)
	if w.findings == 0 {
		in.print("Nothing is written: no finding makes the check fail.\n")
		return worst(code, checkCode(found))
	}
	files, told, err := c.withExceptions(w)
	if err != nil {
		return in.fail(err)
	}
	left, err := c.verify(ctx, files)
	if err != nil {
		return in.refuse(fmt.Errorf("%w; nothing was written", err))
	}
	for _, f := range files {
		if err := source.Write(f.root, f.doc, f.after); err != nil {
			return in.fail(fmt.Errorf("writing exceptions: %w", err))
		}
	}
	in.print("%s%s of %s excepted until %s. Give each exception a reason of its own, and mend what can be mended.\n",
		told, counted(w.findings, "finding"), counted(w.allJobs, "job"), c.waive.expires)
	if left != exitOK {
		in.print("The check still fails: exceptions that have ended cannot be waived; remove them.\n")
	}
	return worst(code, left)
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// edited is a file and what it will hold.
type edited struct {
	doc   source.Document
	root  string // for writes
	after []byte
}

// withExceptions are the files with the exceptions written, and what to tell of them.
func (c *checker) withExceptions(w waivers) (files []*edited, told string, err error) {
	expires, err := time.Parse(time.DateOnly, c.waive.expires)
	if err != nil {
		return nil, "", err
	}
	for _, p := range c.planner.Policies.Policies() {
		blocks := w.of(p.Name, cmp.Or(c.waive.reason, defaultReason), expires)
		if len(blocks) == 0 {
			continue
		}
		home, err := c.homeOf(p)
		if err != nil {
			return nil, "", err
		}
		i := slices.IndexFunc(files, func(f *edited) bool { return f.doc.Name == home.file })
		if i < 0 {
			f, err := home.read()
			if err != nil {
				return nil, "", err
			}
			i, files = len(files), append(files, f)
		}
		if files[i].after, err = policies.AddExceptions(files[i].after, home.block, home.name, blocks); err != nil {
			return nil, "", fmt.Errorf("writing exceptions into %s: %w", home.file, err)
		}
		told += fmt.Sprintf("%s: %s in %s %q\n", home.file, counted(len(blocks), "exception"), home.block, home.name)
	}
	return files, told, nil
}

// home is the block that takes a policy's exceptions.
type home struct {
	file, path, root string // as users see it; absolute; of the folder, for writes
	block, name      string
	known            []byte // what the file held when the policies were loaded
}

func (h home) read() (*edited, error) {
	doc, err := source.Read(h.root, h.path, h.file)
	if err != nil {
		return nil, err
	}
	if string(doc.Bytes) != string(h.known) {
		return nil, fmt.Errorf("writing exceptions into %s: %w", h.file, source.ErrChanged)
	}
	return &edited{doc: doc, root: h.root, after: doc.Bytes}, nil
}

// homeOf: a policy of the library has it in the block that asks for it.
func (c *checker) homeOf(p policies.Info) (home, error) {
	h := home{file: p.Range.Filename, block: "policy", name: p.Name}
	for _, l := range c.project.config.Libraries {
		if library.File(l.Name) != h.file {
			continue
		}
		if l.Range.Filename == "" {
			return h, fmt.Errorf("the policy %q comes from the command line, which has no place for exceptions: ask for it with a block `library %q` in %s", p.Name, l.Name, defaultConfig)
		}
		h = home{file: l.Range.Filename, block: "library", name: l.Name}
		var err error
		h.path, err = filepath.Abs(h.file)
		h.root, h.known = filepath.Dir(h.path), c.source
		return h, err
	}
	i := slices.IndexFunc(c.policyFiles, func(s policies.Source) bool { return s.Name == h.file })
	h.known = c.policyFiles[i].Bytes
	for _, path := range c.project.config.Policies {
		rel, err := filepath.Rel(path.Shown, h.file)
		switch {
		case err != nil || !filepath.IsLocal(rel):
		case rel == ".":
			h.path, h.root = path.Abs, filepath.Dir(path.Abs)
			return h, nil
		default:
			h.path, h.root = filepath.Join(path.Abs, rel), path.Abs
			return h, nil
		}
	}
	return h, fmt.Errorf("writing exceptions into %s: nobody knows where that file is", h.file)
}

// verify looks again, with what the files will hold: what can be waived must be.
func (c *checker) verify(ctx context.Context, files []*edited) (code int, err error) {
	sources, err := c.reread(files)
	if err != nil {
		return 0, err
	}
	set, diags := policies.Load(sources, policies.Options{Gates: gates.Kinds(), Vars: givens(c.project.config.PolicyVars), Now: c.now})
	if diags.HasErrors() {
		return 0, fmt.Errorf("the policies would not load with the exceptions: %w", diags)
	}
	c.planner.Policies = set
	result, err := c.look(ctx)
	if err != nil {
		return 0, err
	}
	found := c.found(result)
	if left := waiversFor(found); left.findings > 0 {
		key := slices.SortedFunc(maps.Keys(left.jobs), func(a, b waived) int {
			return cmp.Or(cmp.Compare(a.policy, b.policy), cmp.Compare(a.rule, b.rule))
		})[0]
		return 0, fmt.Errorf("%s of %s would be left, such as %s of %s in job %s",
			counted(left.findings, "finding"), counted(left.allJobs, "job"), key.rule, key.policy, left.jobs[key][0])
	}
	return checkCode(found), nil
}

// reread are the policies' sources as they will be.
func (c *checker) reread(files []*edited) ([]policies.Source, error) {
	out := slices.Clone(c.policyFiles)
	for _, f := range files {
		for i := range out {
			if out[i].Name == f.doc.Name {
				out[i].Bytes = f.after
			}
		}
		if f.doc.Name != c.project.config.Path {
			continue
		}
		cfg, diags := config.Load(f.doc.Name, f.after)
		if diags.HasErrors() {
			return nil, fmt.Errorf("the configuration would not load with the exceptions: %w", diags)
		}
		for _, l := range cfg.Libraries {
			for i := range out {
				if out[i].Name == library.File(l.Name) {
					out[i].Exceptions = l.Exceptions
				}
			}
		}
	}
	return out, nil
}
