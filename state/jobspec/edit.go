package jobspec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// maxCandidates bounds how many splices are tried for one edit.
const maxCandidates = 64

// Edit returns the file's bytes with the edits spliced in: every byte outside of
// them stays. The result parses and evaluates to exactly desired; where no splice
// does that, there are diagnostics that show the expression in the way, and no
// bytes. JSON is not edited.
func (f *File) Edit(edits []job.Edit, desired *api.Job) ([]byte, hcl.Diagnostics) {
	if f.json && len(edits) > 0 {
		return nil, f.handEdit(f.RangeOf(job.Sort(edits)[0]))
	}
	cur, want, diags := f.start(edits, desired)
	for todo := job.Sort(edits); len(todo) > 0 && !diags.HasErrors(); {
		var done []job.Edit
		cur, done, diags = cur.editFirst(todo)
		todo = slices.DeleteFunc(todo, func(e job.Edit) bool {
			return slices.ContainsFunc(done, func(d job.Edit) bool { return sameEdit(d, e) })
		})
	}
	if diags.HasErrors() {
		return nil, diags
	}
	if !job.Equal(cur.Job, want) {
		return nil, errorAt(f.Range(nil), "Edited file is not what was asked for",
			"With all edits made the file still evaluates to another job than the desired one, at: "+differences(cur.Job, want)+". Edit it by hand.")
	}
	return cur.Bytes, nil
}

// start is the file to edit and the job to reach. Where the file's job is another
// one at each parse, both are taken with those values pinned.
func (f *File) start(edits []job.Edit, desired *api.Job) (*File, *api.Job, hcl.Diagnostics) {
	if !f.Volatile {
		return f, desired, nil
	}
	in := f.inputs
	in.pinned = true
	pinned, diags := Parse(f.Name, f.Bytes, in)
	if diags.HasErrors() {
		return nil, nil, diags
	}
	asked, err := job.Apply(f.Job, edits)
	if err == nil && !job.Equal(asked, desired) {
		err = fmt.Errorf("the edits do not lead to the desired job, at %s", differences(asked, desired))
	}
	if err != nil {
		return nil, nil, errorAt(f.Range(nil), "Cannot make the edits", fmt.Sprintf("%s.", err))
	}
	want, err := job.Apply(pinned.Job, edits)
	if err != nil {
		return nil, nil, errorAt(f.Range(nil), "Cannot make the edits", fmt.Sprintf("%s.", err))
	}
	return pinned, want, nil
}

func differences(a, b *api.Job) string {
	var paths []string
	for _, d := range job.Diff(a, b, nil) {
		paths = append(paths, d.Path.String())
	}
	return strings.Join(paths, ", ")
}

// editFirst makes the first edit, alone if possible. A literal that feeds several
// places, all of which are to be changed alike, changes them at once.
func (f *File) editFirst(todo []job.Edit) (*File, []job.Edit, hcl.Diagnostics) {
	e := todo[0]
	groups := together(e, todo)
	var wants []*api.Job
	for _, g := range groups {
		want, err := job.Apply(f.Job, g)
		if err != nil {
			return nil, nil, errorAt(f.Range(e.Path), "Cannot make the edit", fmt.Sprintf("%s.", err))
		}
		wants = append(wants, want)
	}
	if job.Equal(f.Job, wants[0]) {
		return f, groups[0], nil
	}
	t := f.traced(e.Path)
	candidates := f.candidates(t, e)
	for i, want := range wants {
		for _, c := range candidates {
			if next := f.accept(c, want); next != nil {
				return next, groups[i], nil
			}
		}
	}
	return nil, nil, f.inTheWay(t, e)
}

// together are the edits that may have to be made at once with e: none, then those
// of the same part of a string, then those of the same text wherever it stands.
func together(e job.Edit, todo []job.Edit) [][]job.Edit {
	groups := [][]job.Edit{{e}}
	for _, anywhere := range []bool{false, true} {
		group := slices.DeleteFunc(slices.Clone(todo), func(other job.Edit) bool {
			return !alike(e, other) || !anywhere && e.At != other.At
		})
		if len(group) > len(groups[len(groups)-1]) {
			groups = append(groups, group)
		}
	}
	return groups
}

func alike(a, b job.Edit) bool {
	return a.Op == b.Op && a.Old == b.Old && (a.Op == job.Remove || a.Value.RawEquals(b.Value)) && a.Path.Last().Name == b.Path.Last().Name
}

func sameEdit(a, b job.Edit) bool {
	return a.Path.Equal(b.Path) && a.Op == b.Op && a.Old == b.Old && a.At == b.At
}

// accept is the file with a candidate spliced in, if it evaluates to want.
func (f *File) accept(c candidate, want *api.Job) *File {
	next, diags := Parse(f.Name, c.apply(f.Bytes), f.inputs)
	if diags.HasErrors() || !job.Equal(next.Job, want) {
		return nil
	}
	return next
}

func (f *File) candidates(t *trace, e job.Edit) []candidate {
	pl, rest := t.locate(e.Path)
	s := newSplicer(f.Bytes)
	var out []candidate
	switch {
	case pl.attr == nil && len(rest) > 0:
		out = s.add(pl, e, rest)
	case pl.attr == nil:
		out = s.editBlock(pl, e)
	default:
		old, _ := job.At(f.Job, e.Path)
		fd := finder{trace: t, edit: e, old: old}
		for _, sp := range fd.spots(pl, rest) {
			out = append(out, s.edit(sp, e, old)...)
		}
	}
	return out[:min(len(out), maxCandidates)]
}

// inTheWay says which expression could not be edited, and where the value comes
// from.
func (f *File) inTheWay(t *trace, e job.Edit) hcl.Diagnostics {
	pl, rest := t.locate(e.Path)
	if pl.attr == nil {
		return errorAt(pl.block.header(), "Cannot make the edit",
			fmt.Sprintf("No way was found to %s in this block. Edit the file by hand.", e))
	}
	expr, origins := blocking(t, pl, rest)
	detail := fmt.Sprintf("No edit of this expression, or of what feeds it, gives %s and nothing else.", e.Path)
	if len(origins) > 0 {
		detail += " " + strings.Join(origins, " ")
	} else {
		detail += " Edit it by hand."
	}
	return errorAt(expr.Range(), "Expression in the way", detail)
}

// blocking is the expression at the place, as far as its elements can be told
// apart, and where the variables in it come from if not from a default.
func blocking(t *trace, pl place, rest job.Path) (hclsyntax.Expression, []string) {
	expr := pl.attr.Expr
	for _, a := range atoms(rest) {
		tuple, ok := expr.(*hclsyntax.TupleConsExpr)
		if !ok || a.key != "" || a.index >= len(tuple.Exprs) {
			break
		}
		expr = tuple.Exprs[a.index]
	}
	var origins []string
	for _, name := range variablesBehind(t.decoder, expr) {
		if dec := t.decoder.vars.declared[name]; dec != nil && dec.set && dec.Origin != DefaultOrigin {
			origins = append(origins, fmt.Sprintf("The value of var.%s comes from %s: change it there.", name, dec.Origin))
		}
	}
	return expr, origins
}

// variablesBehind are the variables that an expression uses, through locals too.
func variablesBehind(d *decoder, expr hclsyntax.Expression) []string {
	var names []string
	seen := map[string]bool{}
	var visit func(e hclsyntax.Expression)
	visit = func(e hclsyntax.Expression) {
		for _, t := range e.Variables() {
			name, ok := traverseAttr(t, 1)
			key := t.RootName() + "." + name
			if !ok || seen[key] {
				continue
			}
			seen[key] = true
			if t.RootName() == "var" {
				names = append(names, name)
			}
			if feed, _ := d.feed(t); feed != nil && t.RootName() == "local" {
				visit(feed)
			}
		}
	}
	visit(expr)
	return names
}
