package doctor

import (
	"cmp"
	"fmt"
	"strings"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/job"
)

// mend is what to type so that the job becomes what its file and policies say;
// nothing where that is so already.
func (p *Page) mend() []Step {
	plan := p.Plan
	switch {
	case plan == nil:
		return nil
	case plan.Hold != nil:
		return []Step{p.reconcile("plan", plan.Hold.Next)}
	case plan.Source != "" && plan.Does():
		return []Step{p.reconcile("apply", doing(plan))}
	case plan.Source != "" && len(plan.Left) > 0:
		return []Step{p.reconcile("plan", plan.Left[0])}
	case plan.File == "" && fixable(plan):
		return []Step{p.reconcile("check -live", "what its policies ask for; no job file of the sources declares it, so mend it where it is kept")}
	case plan.File == "":
		return nil
	case p.Bare && fixable(plan):
		return []Step{{strings.TrimSpace("reconcile check -fix "+p.Flags) + " " + quote(plan.File), "mends the file, with a backup"}, {"nomad job run " + quote(plan.File), "registers it"}}
	case p.Bare:
		return nil
	case plan.Does():
		return []Step{p.reconcile("apply", doing(plan))}
	case plan.Condition == reconcile.Denied:
		return []Step{p.reconcile("plan", "what has no fix: mend it in "+plan.File+" by hand, then apply")}
	case p.Live == nil:
		return []Step{p.reconcile("apply", "registers it")}
	case len(plan.Left) > 0:
		return []Step{p.reconcile("plan", plan.Left[0])}
	}
	return nil
}

func fixable(plan *reconcile.Plan) bool {
	for _, f := range plan.Findings {
		if f.Fixable() {
			return true
		}
	}
	return false
}

// doing is what apply would do, in a few words.
func doing(plan *reconcile.Plan) string {
	var parts []string
	for _, a := range plan.Actions {
		switch a {
		case reconcile.EditFile:
			parts = append(parts, fmt.Sprintf("backs up and mends %s", plan.File))
		case reconcile.Register:
			parts = append(parts, "registers the job and waits until it is healthy")
		case reconcile.Stop:
			parts = append(parts, "stops the job")
		}
	}
	return strings.Join(parts, ", ")
}

// reconcile is a command of ours about the job.
func (p *Page) reconcile(verb, why string) Step {
	name := p.ID.Name
	if ns := cmp.Or(p.ID.Namespace, job.DefaultNamespace); ns != job.DefaultNamespace {
		name += "@" + ns
	}
	return Step{strings.Join(strings.Fields("reconcile "+verb+" "+p.Flags), " ") + " " + quote(name), why}
}

// nomad is a command of Nomad's own; of names, the first is quoted where it must be.
func (p *Page) nomad(verb, names, why string) Step {
	if ns := cmp.Or(p.ID.Namespace, job.DefaultNamespace); ns != job.DefaultNamespace {
		verb += " -namespace " + quote(ns)
	}
	if names == p.ID.Name {
		names = quote(names)
	}
	return Step{"nomad " + verb + " " + names, why}
}

// quote makes one word for a shell of it.
func quote(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@=+,", r))
	})
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
