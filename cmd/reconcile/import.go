package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/config"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/source"
)

func runImport(in *invocation) int {
	var configFile, out string
	declareConfig(in.flags, &configFile)
	in.flags.StringVar(&out, "out", "", "the `FOLDER` to write to; by default that of the first directory source, else the working directory")
	code, ok := in.parse("JOB...", `
		Writes the source that Nomad keeps of each registered job into a job file, exactly
		as it was submitted, and its variables into a variable file. What does not evaluate
		to the job as it runs is not written, and no file is ever overwritten.`)
	if !ok {
		return code
	}
	if len(in.args) == 0 {
		return in.misuse("import takes the IDs of registered jobs.")
	}
	ctx, stop := interruptible()
	defer stop()
	i, err := in.openImport(configFile, out)
	if err != nil {
		return in.refuse(err)
	}
	all, err := i.all(ctx, in.args)
	if len(all) > 0 {
		report.Imports(in.stdout, all, i.advice(), i.next(all), in.out)
	}
	if err != nil {
		return in.refuse(err)
	}
	if slices.ContainsFunc(all, func(i report.Imported) bool { return i.Hold != nil }) {
		return exitError
	}
	return exitOK
}

// importer brings the sources of jobs into one folder.
type importer struct {
	*project
	planner  *reconcile.Planner
	shown    string            // the folder, as users see it
	folder   string            // absolute
	into     *reconcile.Source // the source that the folder is in; nil where it is in none
	declared map[job.ID]string // jobs that have a file already
	values   []values          // variable files that were written
	written  int               // jobs
}

// values is a job file and its variable file.
type values struct{ job, vars string } // absolute

// openImport needs no configuration, and no policy.
func (in *invocation) openImport(configFile, out string) (*importer, error) {
	p, err := in.loadConfig(configFile)
	if _, missing := os.Stat(configFile); configFile == defaultConfig && errors.Is(missing, fs.ErrNotExist) {
		p, err = &project{config: config.Default(".")}, nil
	}
	if err != nil {
		return nil, err
	}
	client, err := p.connect()
	if err != nil {
		return nil, err
	}
	i := &importer{project: p, planner: p.planner(in.shell, client, nil), shown: out}
	if i.shown == "" && len(p.sources) > 0 {
		i.shown = p.sources[0].Shown
	}
	i.shown = cmp.Or(i.shown, ".")
	if i.folder, err = filepath.Abs(i.shown); err != nil {
		return nil, err
	}
	i.into = i.sourceOf(i.folder)
	if i.into == nil {
		return i, nil
	}
	if _, err := os.Stat(i.into.Path); errors.Is(err, fs.ErrNotExist) {
		return i, nil // it is made with the first file
	}
	i.declared, err = i.planner.Declared()
	return i, err
}

// sourceOf is the source whose folder is the one at an absolute path, or above it.
func (p *project) sourceOf(path string) *reconcile.Source {
	for i := range p.sources {
		if s := &p.sources[i]; path == s.Path || strings.HasPrefix(path, strings.TrimSuffix(s.Path, "/")+"/") {
			return s
		}
	}
	return nil
}

// all imports each job that the arguments name, in the order of the arguments. With an
// error it gives those that were imported before.
func (i *importer) all(ctx context.Context, args []string) ([]report.Imported, error) {
	ids, err := i.planner.Registered(ctx, reconcile.Selection{Jobs: args})
	if err != nil {
		return nil, err
	}
	var all []report.Imported
	done := map[job.ID]bool{}
	for _, arg := range args {
		known := false
		for _, id := range ids {
			if !id.Called(arg) {
				continue
			}
			if known = true; done[id] {
				continue
			}
			done[id] = true
			one, err := i.one(ctx, id)
			if err != nil {
				return all, err
			}
			all = append(all, one)
		}
		if !known {
			all = append(all, i.unknown(arg))
		}
	}
	return all, nil
}

func (i *importer) unknown(arg string) report.Imported {
	return report.Imported{Job: job.ID{Namespace: job.DefaultNamespace, Name: arg}, Hold: &reconcile.Hold{
		Reason: fmt.Sprintf("Nomad has no such job in the namespaces %s, or it was launched from another", strings.Join(i.planner.Namespaces, ", ")),
		Next:   "`nomad job status -namespace '*'` lists the jobs; add a namespace to nomad { namespaces = [...] }",
	}}
}

// one imports a job. An error is one that the other jobs would meet too.
func (i *importer) one(ctx context.Context, id job.ID) (report.Imported, error) {
	out := report.Imported{Job: id}
	if file := i.declared[id]; file != "" {
		out.Hold = &reconcile.Hold{Reason: file + " declares it already", Next: fmt.Sprintf("reconcile plan %s; or -out FOLDER, outside of the sources, to compare the two", id)}
		return out, nil
	}
	imp, hold, err := i.planner.Import(ctx, id)
	if err != nil || hold != nil {
		out.Hold = hold
		return out, err
	}
	docs := i.documents(imp)
	if i.into != nil {
		if out.Notes, out.Hold = imp.In(i.planner, i.into, docs[0].Path); out.Hold != nil {
			return out, nil
		}
	}
	if out.Hold, err = i.write(id, docs); err != nil || out.Hold != nil {
		return out, err
	}
	i.note(&out, imp, docs)
	return out, nil
}

// documents are the files of a job, the job file first.
func (i *importer) documents(imp *reconcile.Import) []source.Document {
	name := history.FileName(imp.ID)
	if rest, ok := strings.CutPrefix(name, "-"); ok { // it would be a flag
		name = "%2D" + rest
	}
	docs := []source.Document{i.document(name+".nomad", imp.Source, imp.JSON, imp.SecretSource)}
	if len(imp.Vars) > 0 {
		isJSON := bytes.HasPrefix(bytes.TrimSpace(imp.Vars), []byte("{"))
		docs = append(docs, i.document(name+".vars", imp.Vars, isJSON, imp.SecretVars))
	}
	return docs
}

func (i *importer) document(name string, data []byte, isJSON, secret bool) source.Document {
	name += ".hcl"
	if isJSON {
		name = strings.TrimSuffix(name, ".hcl") + ".json"
	}
	doc := source.Document{Name: filepath.Join(i.shown, name), Path: filepath.Join(i.folder, name), Bytes: data, Mode: 0o644}
	if secret {
		doc.Mode = 0o600
	}
	return doc
}

// write makes all files of a job, or none. The job file comes last: before it is
// there, nobody looks for its values.
func (i *importer) write(id job.ID, docs []source.Document) (*reconcile.Hold, error) {
	for _, doc := range docs {
		if _, err := os.Lstat(doc.Path); err == nil {
			return inTheWay(id, doc), nil
		}
	}
	if err := os.MkdirAll(i.folder, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder %s: %w", i.shown, unwrapPath(err))
	}
	for k := len(docs) - 1; k >= 0; k-- {
		err := source.Create(docs[k])
		if err == nil {
			continue
		}
		for _, made := range docs[k+1:] {
			err = errors.Join(err, os.Remove(made.Path))
		}
		if errors.Is(err, fs.ErrExist) {
			return inTheWay(id, docs[k]), nil
		}
		return nil, err
	}
	return nil, nil
}

func inTheWay(id job.ID, doc source.Document) *reconcile.Hold {
	return &reconcile.Hold{
		Reason: doc.Name + " is there already, and is not overwritten",
		Next:   fmt.Sprintf("move it away, or reconcile import -out FOLDER %s", id),
	}
}

// note adds what is to be known of the files that were written.
func (i *importer) note(out *report.Imported, imp *reconcile.Import, docs []source.Document) {
	i.written++
	for _, doc := range docs {
		out.Files = append(out.Files, doc.Name)
		if doc.Mode == 0o600 {
			out.Notes = append(out.Notes, "some values in "+doc.Name+" look secret, so its owner alone can read it (0600); keep it out of Git")
		}
	}
	if len(docs) > 1 {
		i.values = append(i.values, values{docs[0].Path, docs[1].Path})
	}
	if len(imp.Undeclared) > 0 {
		out.Notes = append(out.Notes, "left out, for the job declares no such variables: "+strings.Join(imp.Undeclared, ", "))
	}
	if i.into == nil && imp.ID.Namespace != job.DefaultNamespace {
		out.Notes = append(out.Notes, fmt.Sprintf("it is of the namespace %q; if its file does not say so, its source has to", imp.ID.Namespace))
	}
	if i.into == nil {
		return
	}
	if paths, err := i.into.List(); err == nil && !slices.Contains(paths, docs[0].Path) {
		out.Notes = append(out.Notes, fmt.Sprintf("source %q does not look at it: add %q to its `include`, or take it out of `exclude`", i.into.Name, "**/*"+filepath.Ext(docs[0].Path)))
	}
}

// advice is what the configuration does not say yet.
func (i *importer) advice() []report.Advice {
	var out []report.Advice
	if i.into == nil && i.written > 0 {
		out = append(out, report.Advice{
			Why:   "The folder is in no source. To have it looked at, in " + cmp.Or(i.config.Path, defaultConfig) + ":",
			Lines: []string{`source "directory" "imported" {`, fmt.Sprintf("  path = %q", i.relative(i.folder)), "}"},
		})
	}
	if len(i.values) == 0 {
		return out
	}
	lines := []string{"job_vars = {"}
	root := i.folder
	if i.into != nil {
		root = i.into.Path
	}
	for _, v := range i.values {
		file, err := filepath.Rel(root, v.job)
		if err != nil {
			file = filepath.Base(v.job)
		}
		lines = append(lines, fmt.Sprintf("  %q = [%q]", file, i.relative(v.vars)))
	}
	return append(out, report.Advice{
		Why:   "While the jobs are registered, their values are known from there. For the time after, in the source block:",
		Lines: append(lines, "}"),
	})
}

// relative is a path as the configuration would name it.
func (i *importer) relative(path string) string {
	base, err := filepath.Abs(filepath.Dir(cmp.Or(i.config.Path, defaultConfig)))
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(base, path)
	if err != nil {
		return path
	}
	return rel
}

func (i *importer) next(all []report.Imported) string {
	var ids []string
	for _, one := range all {
		if one.Hold == nil {
			ids = append(ids, one.Job.String())
		}
	}
	if len(ids) == 0 || i.into == nil {
		return ""
	}
	return "reconcile plan " + strings.Join(ids, " ")
}
