package jobspec

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"
)

// submission is what Nomad's CLI registers beside a job: the source, simple
// variables as flags, variable files and others as HCL. What still comes from the
// live submission is handed on, so that it is not lost.
func submission(src []byte, in Inputs, vars map[string]*declared) *api.JobSubmission {
	flags, text := handedOn(in, vars)
	given := envVars(in.Env)
	maps.DeleteFunc(given, func(name, _ string) bool { // flags win over the text, the environment does not
		return vars[name] != nil && vars[name].Origin != envPrefix+name
	})
	maps.Copy(given, in.Vars)
	var complex, said []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		switch dec := vars[name]; {
		case dec == nil && in.Lenient: // for other job files
		case dec != nil && !simpleType(dec.typ):
			complex, said = append(complex, name+" = "+given[name]), append(said, name)
		default:
			flags[name] = given[name]
		}
	}
	text = joinHCL(text, varFilesText(in.VarFiles, vars, said))
	return &api.JobSubmission{
		Source:        string(src),
		Format:        "hcl2",
		VariableFlags: flags,
		Variables:     joinHCL(text, strings.Join(complex, "\n")),
	}
}

// handedOn is what of the live submission's variables still counts. Its text is
// kept as it is where no variable file could say the same name again.
func handedOn(in Inputs, vars map[string]*declared) (flags map[string]string, text string) {
	flags = map[string]string{}
	if in.Live == nil {
		return flags, ""
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if vars[name].Origin != liveOrigin {
			continue
		}
		if flag, ok := in.Live.VariableFlags[name]; ok {
			flags[name] = flag
		} else if value, ok := literal(vars[name].Value, quoteEscaped); ok {
			lines = append(lines, name+" = "+value+"\n")
		}
	}
	if len(in.VarFiles) == 0 {
		return flags, in.Live.Variables
	}
	return flags, strings.Join(lines, "")
}

func envVars(env []string) map[string]string {
	out := map[string]string{}
	for _, kv := range env {
		name, value, ok := strings.Cut(strings.TrimPrefix(kv, envPrefix), "=")
		if ok && name != "" && strings.HasPrefix(kv, envPrefix) {
			out[name] = value
		}
	}
	return out
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
