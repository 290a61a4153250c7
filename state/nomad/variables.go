package nomad

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"
)

// allVariables is everything that was given to a submission, as the content of
// one variables file: the parse call knows no flags. A flag wins over the file.
func allVariables(sub *api.JobSubmission) (string, error) {
	if len(sub.VariableFlags) == 0 {
		return sub.Variables, nil
	}
	kept, err := withoutFlags(sub)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(kept)
	typed := typedVariables(sub.Source)
	for _, name := range slices.Sorted(maps.Keys(sub.VariableFlags)) {
		fmt.Fprintf(&b, "\n%s = %s\n", name, flagValue(sub.VariableFlags[name], typed[name]))
	}
	return b.String(), nil
}

// withoutFlags leaves out what a flag gives too: a name given twice in one file is
// an error.
func withoutFlags(sub *api.JobSubmission) (string, error) {
	f, diags := hclwrite.ParseConfig([]byte(sub.Variables), "variables", hcl.InitialPos)
	if diags.HasErrors() {
		return "", fmt.Errorf("reading the submission's variables: %w", diags)
	}
	for name := range sub.VariableFlags {
		f.Body().RemoveAttribute(name)
	}
	return string(f.Bytes()), nil
}

// flagValue is a -var value as an expression: itself for a variable of a
// collection type, else a string, which Nomad converts.
func flagValue(value string, isCollection bool) string {
	if isCollection {
		return value
	}
	return string(hclwrite.TokensForValue(cty.StringVal(value)).Bytes())
}

// typedVariables tells the variables of a job file that are declared with a
// collection type, whose flags are expressions.
func typedVariables(source string) map[string]bool {
	out := map[string]bool{}
	f, _ := hclsyntax.ParseConfig([]byte(source), "job", hcl.InitialPos)
	if f == nil {
		return out
	}
	for _, b := range f.Body.(*hclsyntax.Body).Blocks {
		if b.Type != "variable" || len(b.Labels) != 1 {
			continue
		}
		if t, ok := b.Body.Attributes["type"]; ok {
			_, isCall := t.Expr.(*hclsyntax.FunctionCallExpr)
			out[b.Labels[0]] = isCall
		}
	}
	return out
}
