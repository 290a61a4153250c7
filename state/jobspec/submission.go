package jobspec

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"
)

// submission is what Nomad's CLI registers beside a job: the source, simple
// variables as flags, variable files and others as HCL. Values of the live
// submission are handed on, so that they are not lost.
func submission(src []byte, in Inputs, vars map[string]*declared) *api.JobSubmission {
	flags, hcl := map[string]string{}, ""
	if in.Live != nil {
		maps.Copy(flags, in.Live.VariableFlags)
		hcl = in.Live.Variables
	}
	for _, f := range in.VarFiles {
		hcl = joinHCL(hcl, string(f.Bytes)+"\n")
	}
	given := map[string]string{}
	for _, kv := range in.Env {
		name, value, ok := strings.Cut(strings.TrimPrefix(kv, envPrefix), "=")
		if ok && name != "" && strings.HasPrefix(kv, envPrefix) {
			given[name] = value
		}
	}
	maps.Copy(given, in.Vars)
	var complex []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if dec := vars[name]; dec != nil && !simpleType(dec.typ) {
			complex = append(complex, name+" = "+given[name])
			continue
		}
		flags[name] = given[name]
	}
	return &api.JobSubmission{
		Source:        string(src),
		Format:        "hcl2",
		VariableFlags: flags,
		Variables:     joinHCL(hcl, strings.Join(complex, "\n")),
	}
}

func simpleType(t cty.Type) bool {
	return t == cty.NilType || t == cty.String || t == cty.Number || t == cty.Bool
}

func joinHCL(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return strings.TrimRight(a, "\n") + "\n\n" + b
}
