package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/config"
	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/source"
)

// project is a loaded configuration with its policies: what all verbs that read
// the config work on.
type project struct {
	config      *config.Config
	source      []byte // of the configuration; empty without one
	policies    *policies.Set
	policyFiles []policies.Source
	sources     []reconcile.Source
	nomads      []reconcile.NomadSource
	watch       []string // what the agent watches beside the sources
}

const defaultConfig = "reconcile.hcl"

// errShown: what is wrong has been printed already.
var errShown = errors.New("shown")

// wants is which project a verb asks for: that of a configuration, or the one
// that -policy and the job files on the command line make without one.
type wants struct {
	config   string
	policies []string
	args     []string
	noFiles  bool // the arguments are no job files, if there are any

	stateOnly bool // neither policies nor job files are looked at
}

// load reads configuration and policies. Mistakes in them are printed; then the
// error is errShown.
func (sh *shell) load(w wants) (*project, error) {
	if len(w.policies) > 0 {
		return sh.loadBare(w)
	}
	if w.stateOnly {
		return sh.readConfig(w.config)
	}
	p, err := sh.loadConfig(w.config)
	if err != nil {
		return nil, err
	}
	return p, sh.loadPolicies(p, map[string]*hcl.File{w.config: {Bytes: p.source}})
}

// readConfig reads the configuration and no other file.
func (sh *shell) readConfig(path string) (*project, error) {
	src, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s here; `reconcile init` writes one, -config FILE names another, and with -policy FILE check, plan and doctor need none", path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	cfg, diags := config.Load(path, src)
	if sh.mistakes(diags, map[string]*hcl.File{path: {Bytes: src}}) != exitOK {
		return nil, errShown
	}
	return &project{config: cfg, source: src}, nil
}

// loadConfig reads the configuration and its variable files, and no policy.
func (sh *shell) loadConfig(path string) (*project, error) {
	p, err := sh.readConfig(path)
	if err != nil {
		return nil, err
	}
	if abs, err := filepath.Abs(path); err == nil {
		p.watch = append(p.watch, abs)
	}
	vars := varFiles{files: map[string]*hcl.File{path: {Bytes: p.source}}}
	for _, s := range p.config.Sources {
		p.sources = append(p.sources, vars.sourceOf(s))
	}
	if sh.mistakes(vars.diags, vars.files) != exitOK {
		return nil, errShown
	}
	for _, s := range p.config.Nomads {
		p.nomads = append(p.nomads, reconcile.NomadSource{Name: s.Name, Jobs: s.Jobs, Namespaces: s.Namespaces, Exclude: s.Exclude})
	}
	p.watch = append(p.watch, vars.paths...)
	return p, nil
}

// loadBare makes a project of -policy and the files and folders named.
func (sh *shell) loadBare(w wants) (*project, error) {
	cfg := config.Default(".")
	cfg.Policies = nil
	for _, path := range w.policies {
		if name, ok := strings.CutPrefix(path, libraryPrefix); ok {
			cfg.Libraries = append(cfg.Libraries, config.Library{Name: name})
			continue
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		cfg.Policies = append(cfg.Policies, config.Path{Shown: path, Abs: abs})
	}
	p := &project{config: cfg}
	if w.noFiles {
		return p, sh.loadPolicies(p, map[string]*hcl.File{})
	}
	if len(w.args) == 0 {
		return nil, errors.New("with -policy and no configuration, say which job files or folders: `reconcile check -policy FILE JOBFILE`")
	}
	for _, arg := range w.args {
		s, err := bareSource(arg)
		if err != nil {
			return nil, err
		}
		p.sources = append(p.sources, s)
	}
	return p, sh.loadPolicies(p, map[string]*hcl.File{})
}

func bareSource(arg string) (reconcile.Source, error) {
	info, err := os.Stat(arg)
	if err != nil {
		return reconcile.Source{}, fmt.Errorf("reading the job file %s: %w", arg, err)
	}
	abs, err := filepath.Abs(arg)
	if err != nil {
		return reconcile.Source{}, err
	}
	if info.IsDir() {
		return reconcile.Source{Directory: source.Directory{
			Name: arg, Path: abs, Shown: arg, Include: config.DefaultInclude(), Exclude: config.DefaultExclude(),
		}}, nil
	}
	return reconcile.Source{Directory: source.Directory{
		Name: arg, Path: filepath.Dir(abs), Shown: filepath.Dir(arg), Include: []string{literalGlob(filepath.Base(abs))},
	}}, nil
}

// literalGlob is a glob that matches one name alone.
func literalGlob(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `{`, `\{`).Replace(name)
}

// varFiles reads the variable files of sources.
type varFiles struct {
	paths []string             // absolute
	files map[string]*hcl.File // for printing diags
	diags hcl.Diagnostics
}

func (v *varFiles) sourceOf(s config.Source) reconcile.Source {
	out := reconcile.Source{
		Directory: source.Directory{
			Name: s.Name, Path: s.Path.Abs, Shown: s.Path.Shown, Include: s.Include, Exclude: s.Exclude, Namespace: s.Namespace,
		},
		Vars: s.Vars, VarFiles: v.read(s.VarFiles), FilesFrom: s.FilesFrom,
	}
	for _, jv := range s.JobVars {
		out.JobVars = append(out.JobVars, reconcile.JobVars{Glob: jv.Glob, Files: v.read(jv.Files)})
	}
	return out
}

func (v *varFiles) read(named []config.VarFile) []jobspec.VarFile {
	var out []jobspec.VarFile
	for _, n := range named {
		data, err := os.ReadFile(n.Abs)
		if err != nil {
			v.diags = append(v.diags, &hcl.Diagnostic{
				Severity: hcl.DiagError,
				Summary:  "Variable file that cannot be read",
				Detail:   fmt.Sprintf("%s: %v. Paths are relative to the folder of this configuration.", n.Shown, unwrapPath(err)),
				Subject:  n.Range.Ptr(),
			})
			continue
		}
		f := jobspec.VarFile{Name: n.Shown, Bytes: data}
		out = append(out, f)
		if v.files[f.Name] == nil { // else it was named, and checked, before
			v.files[f.Name] = &hcl.File{Bytes: data}
			v.paths = append(v.paths, n.Abs)
			v.diags = append(v.diags, f.Check()...)
		}
	}
	return out
}

// loadPolicies reads every policy file, files as named and folders with all
// *.policy.hcl below, and those of the library. The files given are for snippets.
func (sh *shell) loadPolicies(p *project, files map[string]*hcl.File) error {
	var sources []policies.Source
	for _, path := range p.config.Policies {
		found, err := policyFiles(path)
		if p.config.PoliciesDefault && len(p.config.Libraries) > 0 && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		sources = append(sources, found...)
	}
	shared, diags := fromLibrary(p.config.Libraries)
	sources = append(sources, shared...)
	for _, s := range sources {
		files[s.Name] = &hcl.File{Bytes: s.Bytes}
	}
	if sh.mistakes(diags, files) != exitOK {
		return errShown
	}
	set, diags := policies.Load(sources, policies.Options{Gates: gates.Kinds(sh.environ...), Vars: givens(p.config.PolicyVars), Now: sh.now()})
	if sh.mistakes(diags, files) != exitOK {
		return errShown
	}
	p.policies, p.policyFiles = set, sources
	return nil
}

func policyFiles(path config.Path) ([]policies.Source, error) {
	info, err := os.Stat(path.Abs)
	if err != nil {
		return nil, fmt.Errorf("reading the policies %s: %w; `policies` in reconcile.hcl names files or folders", path.Shown, unwrapPath(err))
	}
	if !info.IsDir() {
		data, err := os.ReadFile(path.Abs)
		if err != nil {
			return nil, fmt.Errorf("reading the policy %s: %w", path.Shown, unwrapPath(err))
		}
		return []policies.Source{{Name: path.Shown, Bytes: data}}, nil
	}
	dir := source.Directory{Name: "policies", Path: path.Abs, Shown: path.Shown, Include: []string{"**/*.policy.hcl"}}
	names, err := dir.List()
	if err != nil {
		return nil, err
	}
	var out []policies.Source
	for _, name := range names {
		doc, err := dir.Read(name)
		if err != nil {
			return nil, err
		}
		out = append(out, policies.Source{Name: doc.Name, Bytes: doc.Bytes})
	}
	return out, nil
}

// unwrapPath drops the path that the message around it names already.
func unwrapPath(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// planner is the looking half; with nomad it looks at the live side too.
func (p *project) planner(sh *shell, client *nomad.Client, store *history.Store) *reconcile.Planner {
	out := &reconcile.Planner{
		Sources: p.sources, Nomads: p.nomads, Policies: p.policies, History: store, Env: sh.environ,
		Namespaces: p.namespaces(sh), Concurrency: p.config.Limits.Concurrency, Clock: sh.now,
	}
	if client != nil {
		out.Nomad = client
	}
	return out
}

// namespaces are those of the configuration, else that of NOMAD_NAMESPACE, else
// the default one. Files that are named without a configuration may be of any.
func (p *project) namespaces(sh *shell) []string {
	switch ns := sh.getenv("NOMAD_NAMESPACE"); {
	case len(p.config.Nomad.Namespaces) > 0:
		return p.config.Nomad.Namespaces
	case p.config.Path == "":
		return []string{"*"}
	case ns != "":
		return []string{ns}
	}
	return []string{job.DefaultNamespace}
}

// connect makes the Nomad client: what reconcile.hcl says, then NOMAD_*.
func (p *project) connect() (*nomad.Client, error) {
	cfg := api.DefaultConfig()
	if p.config.Nomad.Address != "" {
		cfg.Address = p.config.Nomad.Address
	}
	return nomad.New(cfg)
}

func (p *project) history(sh *shell) (*history.Store, error) {
	store, err := history.Open(p.config.State.Dir.Abs, p.config.State.Keep, sh.now)
	if err == nil {
		store.KeepFor(p.config.State.KeepFor)
	}
	return store, err
}

// selection tells job files and folders of them from job IDs among a verb's
// arguments.
func (p *project) selection(args []string) (reconcile.Selection, error) {
	var sel reconcile.Selection
	for _, arg := range args {
		info, err := os.Stat(arg)
		found, listErr := p.below(arg)
		switch {
		case listErr != nil:
			return sel, listErr
		case err == nil && len(found) > 0:
			sel.Files = append(sel.Files, found...)
		case err == nil && (!info.IsDir() || strings.ContainsAny(arg, "./")):
			return sel, fmt.Errorf("%s is in no source of %s; add a source, or use -policy to do without", arg, p.config.Path)
		case err != nil && looksLikeFile(arg):
			return sel, fmt.Errorf("reading the job file %s: %w", arg, unwrapPath(err))
		default:
			sel.Jobs = append(sel.Jobs, arg)
		}
	}
	return sel, nil
}

func looksLikeFile(arg string) bool {
	return slices.Contains([]string{".hcl", ".nomad", ".job", ".json"}, filepath.Ext(arg))
}

// below is the files of the sources that are arg or in the folder arg.
func (p *project) below(arg string) ([]string, error) {
	abs, err := filepath.Abs(arg)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, s := range p.sources {
		paths, err := s.List()
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if path == abs || strings.HasPrefix(path, abs+string(filepath.Separator)) {
				out = append(out, path)
			}
		}
	}
	return out, nil
}

// unknown is an error for a job that was named and is nowhere, and for a file that
// was named and holds none.
func (in *invocation) unknown(sel reconcile.Selection, r reconcile.Result) error {
	for _, name := range sel.Jobs {
		known := slices.ContainsFunc(r.Plans, func(p reconcile.Plan) bool {
			return p.ID.Called(name)
		})
		if !known {
			return fmt.Errorf("no job file of the sources declares the job %q, and no `source \"nomad\"` names it; `reconcile plan` without arguments lists what there is", name)
		}
	}
	for _, arg := range in.args {
		abs, err := filepath.Abs(arg)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(r.Skipped, func(s reconcile.Skipped) bool { return s.Path == abs }); i >= 0 {
			return fmt.Errorf("%s holds no job: it %s; %s", arg, r.Skipped[i].Reason, r.Skipped[i].Next)
		}
	}
	return nil
}
