package policies

import (
	"maps"
	"slices"
)

// FunctionNames are all that expressions may call.
func FunctionNames() []string { return slices.Sorted(maps.Keys(functions)) }
