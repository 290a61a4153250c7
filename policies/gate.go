package policies

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Assertion is a true-or-false expression of a gate, about what the gate saw. It
// has the functions of policies.
type Assertion struct{ e expression }

// NewAssertion checks an expression at load: its functions, its constant patterns
// and what it refers to. sees names the variables and their attributes.
func NewAssertion(a *hcl.Attribute, sees map[string][]string) (*Assertion, hcl.Diagnostics) {
	d := gateDecoder(a.Expr)
	if d.diags.HasErrors() {
		return nil, d.diags
	}
	out := &Assertion{e: d.typed(a, cty.Bool, slices.Sorted(maps.Keys(sees))...)}
	for _, t := range a.Expr.Variables() {
		name, ok := second(t)
		if known := sees[t.RootName()]; ok && known != nil && !slices.Contains(known, name) {
			d.fail(t.SourceRange(), "Unknown attribute", "There is no %s.%s.%s", t.RootName(), name, didYouMean(name, known))
		}
	}
	return out, d.diags
}

// Holds evaluates the assertion about these values. An error says why that cannot
// be done: a path that leads nowhere, a result that is no truth value.
func (a *Assertion) Holds(values map[string]cty.Value) (bool, error) {
	v, diags := a.e.Value(&hcl.EvalContext{Functions: functions, Variables: values})
	if diags.HasErrors() {
		first := diags.Errs()[0]
		if diag, ok := errors.AsType[*hcl.Diagnostic](first); ok {
			return false, fmt.Errorf("%s: %s", diag.Summary, diag.Detail)
		}
		return false, first
	}
	if v.Type() != cty.Bool || v.IsNull() || !v.IsKnown() {
		return false, fmt.Errorf("assert is neither true nor false%s", given(v))
	}
	return v.True(), nil
}

// Constant evaluates an attribute of a gate, which may use functions. need says
// what it must be: "a string". The value is cty.NilVal where there is an error.
func Constant(a *hcl.Attribute, want cty.Type, need string) (cty.Value, hcl.Diagnostics) {
	d := gateDecoder(a.Expr)
	if d.diags.HasErrors() {
		return cty.NilVal, d.diags
	}
	v, _ := d.constant(a, want, need)
	return v, d.diags
}

// gateDecoder is for one expression of a gate, which sees no parameters of its file.
func gateDecoder(e hcl.Expression) *decoder {
	none := cty.EmptyObjectVal
	d := &decoder{uses: uses{}, params: map[string]cty.Value{"var": none, "local": none}}
	for _, t := range e.Variables() {
		if root := t.RootName(); root == "var" || root == "local" {
			d.fail(t.SourceRange(), "No variables here", "Gates cannot use %s: write the value itself.", root)
		}
	}
	return d
}
