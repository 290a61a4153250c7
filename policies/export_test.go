package policies

import (
	"maps"
	"slices"
)

// FunctionNames are all that expressions may call.
func FunctionNames() []string { return slices.Sorted(maps.Keys(functions)) }

// Unnarrowed is the same set, whose expressions see all of a job, whether they ask
// for it or not.
func (s *Set) Unnarrowed() *Set {
	out := *s
	out.uses = uses{"job": nil, "live": nil, "group": nil, "task": nil}
	return &out
}
