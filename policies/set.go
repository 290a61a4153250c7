package policies

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"
)

// Set is the policies and rollouts of all files, ready to be asked. It does not
// change after Load and may be asked from several goroutines.
type Set struct {
	policies []policy
	rollouts []rollout
	files    map[string]*hcl.File
	uses     uses
	revision string

	variables []VariableInfo
}

var fileSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "policy", LabelNames: []string{"name"}},
	{Type: "rollout", LabelNames: []string{"name"}},
	{Type: "variable", LabelNames: []string{"name"}},
	{Type: "locals"},
}}

// Options are what policy files are loaded with.
type Options struct {
	Gates map[string]Kind  // decode the gates of rollouts
	Vars  map[string]Given // values for the variables of all files that declare them
	Now   time.Time        // decides which exceptions have ended
}

// Load reads policy files. With an error among the diagnostics the set is nil:
// nothing is enforced from files that do not load whole. The order of files and
// of policies in them is that of findings.
func Load(files []Source, o Options) (*Set, hcl.Diagnostics) {
	d := &decoder{kinds: o.Gates, now: o.Now, uses: uses{}, declared: map[string][]string{}}
	s := &Set{files: map[string]*hcl.File{}, uses: d.uses, revision: revision(files, o.Vars)}
	names := map[string]hcl.Range{}
	for _, f := range files {
		file, diags := hclsyntax.ParseConfig(f.Bytes, f.Name, hcl.InitialPos)
		d.diags = append(d.diags, diags...)
		s.files[f.Name] = file
		if diags.HasErrors() {
			continue // what the parser made of it would only add errors that are none
		}
		content := d.content(file.Body, fileSchema)
		d.source = f
		d.parameters(content, o.Vars)
		for _, b := range content.Blocks {
			if b.Type == "policy" || b.Type == "rollout" {
				d.name(b, names)
				s.block(d, b)
			}
		}
	}
	d.unusedValues(files, o.Vars)
	s.variables = d.variables
	diags := inOrder(d.diags, files)
	if diags.HasErrors() {
		return nil, diags
	}
	return s, diags
}

// inOrder sorts diagnostics as one reads: by file, then by place.
func inOrder(diags hcl.Diagnostics, files []Source) hcl.Diagnostics {
	rank := map[string]int{}
	for i, f := range files {
		rank[f.Name] = i
	}
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int {
		if a.Subject == nil || b.Subject == nil {
			return 0
		}
		return cmp.Or(cmp.Compare(rank[a.Subject.Filename], rank[b.Subject.Filename]),
			cmp.Compare(a.Subject.Start.Byte, b.Subject.Start.Byte))
	})
	return diags
}

func (s *Set) block(d *decoder, b *hcl.Block) {
	switch b.Type {
	case "policy":
		p := d.policy(b)
		p.index = len(s.policies)
		s.policies = append(s.policies, p)
	case "rollout":
		s.rollouts = append(s.rollouts, d.rollout(b))
	}
}

// name demands that a block can be told from all others of its type.
func (d *decoder) name(b *hcl.Block, names map[string]hcl.Range) {
	name := b.Labels[0]
	if strings.TrimSpace(name) == "" {
		d.fail(b.LabelRanges[0], "Missing name", "A %s needs a name: findings and messages refer to it.", b.Type)
		return
	}
	key := b.Type + " " + name
	if first, taken := names[key]; taken {
		d.fail(b.LabelRanges[0], "Duplicate "+b.Type, "There is a %s %q at %s:%d already. Rename one of them.",
			b.Type, name, first.Filename, first.Start.Line)
		return
	}
	names[key] = b.DefRange
}

func revision(files []Source, vars map[string]Given) string {
	sorted := slices.Clone(files)
	slices.SortStableFunc(sorted, func(a, b Source) int { return strings.Compare(a.Name, b.Name) })
	h := sha256.New()
	for _, f := range sorted {
		fmt.Fprintf(h, "%q %d\n", f.Name, len(f.Bytes))
		h.Write(f.Bytes)
		fmt.Fprintf(h, "%q %v\n", f.Enforce, f.Fix)
		writeValues(h, f.Vars)
		writeBlocks(h, f.Exceptions)
	}
	writeValues(h, vars)
	return hex.EncodeToString(h.Sum(nil))
}

func writeValues(w io.Writer, vars map[string]Given) {
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(w, "%s = %#v\n", name, vars[name].Value)
	}
}

// writeBlocks tells blocks that stand in no policy file by what their attributes
// evaluate to, or refer to.
func writeBlocks(w io.Writer, blocks hcl.Blocks) {
	for _, b := range blocks {
		attrs, _ := b.Body.JustAttributes()
		for _, name := range slices.Sorted(maps.Keys(attrs)) {
			v, _ := attrs[name].Expr.Value(&hcl.EvalContext{Functions: functions})
			fmt.Fprintf(w, "%s = %#v %v\n", name, v, attrs[name].Expr.Range())
		}
		fmt.Fprintln(w, b.Type)
	}
}

// Revision is a hash over the names and bytes of the set's files, in whatever
// order they were loaded, the values of their variables, and what else is given
// with them.
func (s *Set) Revision() string { return s.revision }

// Sources are the set's files by name, for diagnostics with snippets.
func (s *Set) Sources() map[string]*hcl.File { return maps.Clone(s.files) }

// Policies lists the set's policies in the order of their files.
func (s *Set) Policies() []Info {
	infos := make([]Info, len(s.policies))
	for i := range s.policies {
		infos[i] = s.policies[i].info()
	}
	return infos
}

// Exceptions lists those of all policies in the order of their files.
func (s *Set) Exceptions() []Exception {
	var out []Exception
	for _, p := range s.policies {
		for _, e := range p.exceptions {
			out = append(out, e.Exception)
		}
	}
	return out
}

// Variables lists the variables of all files in the order in which they stand.
func (s *Set) Variables() []VariableInfo { return slices.Clone(s.variables) }

// Check holds one side of a job against the set. Live is what Nomad has registered
// under that ID, nil for nothing: expressions see it as `live`. An error among the
// diagnostics means that some expression or gate could not be applied to this job;
// the verdict then says nothing that may be acted on.
func (s *Set) Check(side Side, j *api.Job, live *api.Job) (Verdict, hcl.Diagnostics) {
	sc := newScope(j, live, s.uses)
	chosen, conflict, diags := s.rollout(sc)
	if side == FileSide { // a live job need not have the task yet that a gate names
		diags = append(diags, checkGates(chosen.Gates, sc)...)
	}
	m := merger{set: s, side: side, given: j, live: live}
	v := m.merge(sc)
	v.Rollout = chosen
	v.Selected = m.selected
	if v.Conflict == "" {
		v.Conflict = conflict
	}
	return v, append(diags, m.diags...)
}

// findings asks every policy, in order, and names those that select the job.
func (s *Set) findings(side Side, sc *scope) (out []finding, selected []string, diags hcl.Diagnostics) {
	for i := range s.policies {
		p := &s.policies[i]
		found, asked, more := p.check(side, sc)
		out = append(out, found...)
		diags = append(diags, more...)
		if asked {
			selected = append(selected, p.name)
		}
	}
	return out, selected, diags
}
