package reconcile

import (
	"sync"

	"nomad-reconcile/policies"
)

// matches is which policies select any job at all.
type matches struct {
	mu    sync.Mutex
	jobs  int
	names map[string]bool
}

// saw notes one job, seen from either side or from both.
func (m *matches) saw(o *Observation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jobs++
	if o.File != nil {
		m.add(o.File.Verdict)
	}
	if o.Live != nil {
		m.add(o.Live.Verdict)
	}
}

func (m *matches) add(v policies.Verdict) {
	if m.names == nil {
		m.names = map[string]bool{}
	}
	for _, name := range v.Selected {
		m.names[name] = true
	}
}

// without lists the policies that select none of the jobs; nothing where there are
// no jobs, for that says nothing about policies.
func (m *matches) without(set *policies.Set) []policies.Info {
	if set == nil || m.jobs == 0 {
		return nil
	}
	var out []policies.Info
	for _, p := range set.Policies() {
		if !m.names[p.Name] {
			out = append(out, p)
		}
	}
	return out
}
