package policies

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// rollout is one rollout block.
type rollout struct {
	Rollout
	match match
}

var rolloutSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "strategy"}, {Name: "deadline"}, {Name: "on_failure"}, {Name: "ignore"}},
	Blocks:     []hcl.BlockHeaderSchema{{Type: "match"}, {Type: "gate", LabelNames: []string{"kind", "name"}}},
}

func (d *decoder) rollout(b *hcl.Block) rollout {
	content := d.content(b.Body, rolloutSchema)
	attrs := content.Attributes
	r := rollout{match: d.match(d.single(content, "match"), jobFilters), Rollout: Rollout{
		Name:      b.Labels[0],
		Strategy:  Strategy(d.oneOf(attrs["strategy"], string(Update), string(Restart))),
		Deadline:  d.duration(attrs["deadline"]),
		OnFailure: OnFailure(d.oneOf(attrs["on_failure"], string(Rollback), string(Keep))),
		Ignore:    d.ignore(attrs["ignore"]),
	}}
	first := map[string]hcl.Range{}
	for _, g := range content.Blocks.OfType("gate") {
		id := strings.Join(g.Labels, " ")
		if at, taken := first[id]; taken {
			d.fail(g.DefRange, "Duplicate gate", "There is a gate %q %q on line %d already. Give this one another name.", g.Labels[0], g.Labels[1], at.Start.Line)
			continue
		}
		first[id] = g.DefRange
		r.Gates = append(r.Gates, d.gate(g))
	}
	return r
}

// gate takes `when` out of the block; the kind's own decoder reads the rest.
func (d *decoder) gate(b *hcl.Block) Gate {
	g := Gate{Kind: b.Labels[0], Name: b.Labels[1], Range: b.DefRange}
	content, rest, diags := b.Body.PartialContent(schemaOf([]string{"when"}))
	d.diags = append(d.diags, diags...)
	g.Before = d.oneOf(content.Attributes["when"], "after", "before") == "before"
	kind, ok := d.kinds[g.Kind]
	if !ok {
		d.fail(b.LabelRanges[0], "Unknown kind of gate", "%s", d.unknownKind(g.Kind))
		return g
	}
	g.Spec, diags = kind(g.Name, rest)
	d.diags = append(d.diags, diags...)
	return g
}

func (d *decoder) unknownKind(kind string) string {
	if kind == "deployment" {
		return "The deployment gate is always on and has no block. Remove it."
	}
	known := slices.Sorted(maps.Keys(d.kinds))
	if len(known) == 0 {
		return fmt.Sprintf("There is no gate %q.", kind)
	}
	return fmt.Sprintf("There is no gate %q; there is: %s.%s", kind, strings.Join(known, ", "), didYouMean(kind, known))
}

// defaultRollout is for a job that no rollout block matches.
func defaultRollout() Rollout { return Rollout{Strategy: Update, OnFailure: Rollback} }

// rollout is the one whose match selects the job. Two are a conflict: nobody can
// know which of them was meant.
func (s *Set) rollout(sc *scope) (chosen Rollout, conflict string, diags hcl.Diagnostics) {
	chosen = defaultRollout()
	for _, r := range s.rollouts {
		selected, more := r.match.selectsJob(sc)
		diags = append(diags, more...)
		switch {
		case !selected:
		case chosen.Name == "":
			chosen = r.Rollout
		case conflict == "":
			conflict = fmt.Sprintf("rollouts %q and %q both match this job; narrow the match of one of them", chosen.Name, r.Name)
		}
	}
	return chosen, conflict, diags
}

// checkGates asks the gates' specs whether they fit the job.
func checkGates(gates []Gate, sc *scope) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, g := range gates {
		spec, ok := g.Spec.(JobChecker)
		if !ok {
			continue
		}
		for _, diag := range spec.CheckJob(sc.given) {
			if diag.Subject == nil {
				diag.Subject = &g.Range
			}
			diags = append(diags, diag)
		}
	}
	return diags
}
