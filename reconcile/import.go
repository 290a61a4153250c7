package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/source"
)

// Import is what Nomad keeps as the source of a live job, as the files that it would
// be on disk.
type Import struct {
	ID         job.ID
	Source     []byte   // of the job file, exactly as it was submitted
	JSON       bool     // it is JSON
	Vars       []byte   // of the variable file; none where nothing was given
	Undeclared []string // given, and not declared by the job: left out of Vars

	SecretSource, SecretVars bool // values in it look secret

	file       *jobspec.File
	submission *api.JobSubmission
}

// Import reads the source of a live job. A hold says why what Nomad keeps is not the
// job's source: it must evaluate to the job as it is registered.
func (p *Planner) Import(ctx context.Context, id job.ID) (*Import, *Hold, error) {
	j, err := p.Nomad.Job(ctx, id)
	if errors.Is(err, nomad.ErrNotFound) {
		return nil, &Hold{Reason: "Nomad does not know it any more", Next: "nomad job status"}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	live := &Live{Job: j, State: stateOf(j, nil)}
	if live.Submission, err = p.Nomad.Submission(ctx, id, *j.Version); err != nil {
		return nil, nil, err
	}
	f, why, err := p.submitted(ctx, live)
	if err != nil {
		return nil, nil, err
	}
	if why != "" {
		return nil, notImported(id, why), nil
	}
	return imported(id, f, live.Submission)
}

func notImported(id job.ID, why string) *Hold {
	return &Hold{
		Reason: why,
		Next:   fmt.Sprintf("write its job file by hand from `nomad job inspect %s`, and register that: nomad job run FILE", inspected(id)),
	}
}

// inspected is the job as an argument of Nomad's own commands.
func inspected(id job.ID) string {
	if id.Namespace == "" || id.Namespace == job.DefaultNamespace {
		return id.Name
	}
	return "-namespace " + id.Namespace + " " + id.Name
}

func imported(id job.ID, f *jobspec.File, sub *api.JobSubmission) (*Import, *Hold, error) {
	out := &Import{ID: id, Source: []byte(sub.Source), JSON: f.JSON(), file: f, submission: sub}
	if !out.JSON {
		var err error
		if out.Vars, out.Undeclared, err = f.VarFile(sub); err != nil {
			return nil, notImported(id, err.Error()), nil
		}
	}
	out.SecretSource = looksSecret(reference.ReplaceAll(out.Source, nil))
	out.SecretVars = looksSecret(out.Vars)
	for _, v := range f.Variables {
		out.SecretVars = out.SecretVars || len(out.Vars) > 0 && v.Origin != "default" && job.IsSecretName(v.Name)
	}
	return out, nil, nil
}

// reference is a line that has its value from elsewhere.
var reference = regexp.MustCompile(`(?m)^.*=[ \t]*(var|local)\.[\w.-]+[ \t]*$`)

func looksSecret(text []byte) bool { return job.RedactCode(string(text)) != string(text) }

// In says what becomes of the job file at an absolute path of a source: the hold, that
// it would mean another job; the notes, whose values there are others.
func (i *Import) In(p *Planner, src *Source, path string) (notes []string, hold *Hold) {
	d := draft{source: src, doc: source.Document{Name: path, Path: path, Bytes: i.Source}}
	d.parse(p.inputs(d, i.submission))
	if d.spec == nil {
		return []string{"the variables that the source gives do not fit it: " + d.diags[0].Summary}, nil
	}
	if d.identify(); d.id != i.ID {
		return nil, &Hold{
			Reason: fmt.Sprintf("its source names no namespace, and job files of source %q without one are of %q", src.Name, cmp.Or(src.Namespace, job.DefaultNamespace)),
			Next:   fmt.Sprintf("reconcile import -out DIR %s, with a folder whose source has namespace = %q", i.ID, i.ID.Namespace),
		}
	}
	var others []string
	for k, v := range d.spec.Variables {
		if !v.Value.RawEquals(i.file.Variables[k].Value) {
			others = append(others, fmt.Sprintf("%s (%s)", v.Name, v.Origin))
		}
	}
	if len(others) > 0 {
		notes = append(notes, "other values than the live job's are given there to "+strings.Join(others, ", ")+": plan will show the difference")
	}
	return notes, nil
}

// Declared is which file of the sources declares each job.
func (p *Planner) Declared() (map[job.ID]string, error) {
	files, err := p.list()
	if err != nil {
		return nil, err
	}
	out := map[job.ID]string{}
	for _, f := range files {
		if d, isJob := p.readDraft(f.source, f.path, nil); isJob && !d.unnamed {
			out[d.id] = d.doc.Name
		}
	}
	return out, nil
}
