package library_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/policies"
	"nomad-reconcile/policies/library"
)

// Every mutant of a condition of the library is noticed by a test.
func TestMutants(t *testing.T) {
	t.Parallel()
	for _, name := range library.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, _ := library.Policy(name)
			tests := testBlocks(t, name)
			asIs := loader{src: string(src)}
			var want [][]string
			for _, test := range tests {
				want = append(want, asIs.findings(test))
			}
			all := mutantsOf(t, name, src)
			for _, m := range all {
				if !notices(m, src, tests, want) {
					t.Errorf("nobody notices %s", m.id)
				}
			}
			if name != "sudo" && len(all) < 3 {
				t.Errorf("only %d mutants", len(all))
			}
		})
	}
}

// mutant is a policy with one change.
type mutant struct {
	id   string // POLICY/RULE.ATTRIBUTE: OLD -> NEW
	at   hcl.Range
	text string
}

// source is the policy with the change made.
func (m mutant) source(src []byte) string {
	return string(src[:m.at.Start.Byte]) + m.text + string(src[m.at.End.Byte:])
}

// notices reports whether the policy with the change says something else of the
// job of any test than it says as it is; TestPolicies holds that against what the
// tests expect.
func notices(m mutant, src []byte, tests []testBlock, want [][]string) bool {
	sets := loader{src: m.source(src)}
	for i, test := range tests {
		if !slices.Equal(want[i], sets.findings(test)) {
			return true
		}
	}
	return false
}

// loader loads a policy once for each set of variables: that costs most.
type loader struct {
	src  string
	sets map[string]*policies.Set
}

func (l *loader) findings(test testBlock) []string {
	vars := fmt.Sprint(test.variables)
	if l.sets[vars] == nil {
		set, diags := policies.Load([]policies.Source{{Name: "p", Bytes: []byte(l.src)}}, policies.Options{Now: day, Vars: test.variables})
		if diags.HasErrors() {
			return []string{diags.Error()}
		}
		if l.sets == nil {
			l.sets = map[string]*policies.Set{}
		}
		l.sets[vars] = set
	}
	v, diags := l.sets[vars].Check(policies.FileSide, test.job, nil)
	if diags.HasErrors() {
		return []string{diags.Error()}
	}
	var out []string
	for _, f := range v.Findings {
		out = append(out, f.Rule+" "+f.Path.String())
	}
	return out
}

// mutantsOf changes whens and asserts of rules, locals, and lists that variables
// have by default.
func mutantsOf(t *testing.T, name string, src []byte) []mutant {
	t.Helper()
	file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	m := mutator{src: src}
	for _, b := range file.Body.(*hclsyntax.Body).Blocks {
		switch b.Type {
		case "locals":
			for _, a := range b.Body.Attributes {
				m.where = name + "/local." + a.Name
				m.expression(a.Expr)
			}
		case "variable":
			m.where = name + "/var." + b.Labels[0]
			if list, ok := b.Body.Attributes["default"].Expr.(*hclsyntax.TupleConsExpr); ok && len(list.Exprs) > 0 {
				m.replace(list.Range(), "[]")
			}
		case "policy":
			for _, inner := range b.Body.Blocks {
				m.block(name, inner)
			}
		}
	}
	return m.out
}

// mutator gathers mutants of one file.
type mutator struct {
	src   []byte
	where string
	out   []mutant
}

func (m *mutator) replace(at hcl.Range, text string) {
	old := strings.Join(strings.Fields(string(at.SliceBytes(m.src))), " ")
	id := fmt.Sprintf("%s: %s -> %s", m.where, old, text)
	for n, i := 2, 0; i < len(m.out); i++ { // the same change at a second place
		if m.out[i].id == id {
			id = fmt.Sprintf("%s: %s -> %s (%d)", m.where, old, text, n)
			n, i = n+1, -1
		}
	}
	m.out = append(m.out, mutant{id, at, text})
}

func (m *mutator) block(policy string, b *hclsyntax.Block) {
	name := policy + "/" + b.Type
	if len(b.Labels) > 0 {
		name = policy + "/" + b.Labels[0]
	}
	for _, attr := range []string{"when", "assert"} {
		a := b.Body.Attributes[attr]
		if a == nil {
			continue
		}
		m.where = name + "." + attr
		m.replace(a.Expr.Range(), "true")
		m.replace(a.Expr.Range(), "false")
		m.expression(a.Expr)
	}
	if a := b.Body.Attributes["type"]; a != nil && b.Type == "match" {
		m.where = name + ".type"
		m.replace(a.SrcRange, "")
		m.elements(a.Expr.(*hclsyntax.TupleConsExpr))
	}
}

var opposite = map[string]string{
	"&&": "||", "||": "&&", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "*": "+",
}

var sibling = map[string]string{
	"anytrue": "alltrue", "alltrue": "anytrue", "startswith": "endswith", "endswith": "startswith",
}

func (m *mutator) expression(e hclsyntax.Expression) {
	_ = hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		switch n := n.(type) {
		case *hclsyntax.BinaryOpExpr:
			m.operator(n)
		case *hclsyntax.UnaryOpExpr:
			m.replace(hcl.Range{Start: n.SymbolRange.Start, End: n.SymbolRange.End}, "")
		case *hclsyntax.FunctionCallExpr:
			if other := sibling[n.Name]; other != "" {
				m.replace(n.NameRange, other)
			}
		case *hclsyntax.LiteralValueExpr:
			m.literal(n)
		case *hclsyntax.TemplateExpr:
			if n.IsStringLiteral() {
				m.replace(n.Range(), `"~"`)
			}
		case *hclsyntax.TupleConsExpr:
			m.elements(n)
		case *hclsyntax.ConditionalExpr:
			m.replace(n.Range(), string(n.TrueResult.Range().SliceBytes(m.src)))
			m.replace(n.Range(), string(n.FalseResult.Range().SliceBytes(m.src)))
		}
		return nil
	})
}

func (m *mutator) operator(n *hclsyntax.BinaryOpExpr) {
	start, end := n.LHS.Range().End.Byte, n.RHS.Range().Start.Byte
	between := string(m.src[start:end])
	for _, op := range []string{"&&", "||", "<=", ">=", "==", "!=", "<", ">", "*"} {
		if i := strings.Index(between, op); i >= 0 {
			at := n.Range()
			whole := strings.Join(strings.Fields(string(at.SliceBytes(m.src))), " ")
			m.replace(hcl.Range{Start: hcl.Pos{Byte: start + i}, End: hcl.Pos{Byte: start + i + len(op)}}, opposite[op])
			m.out[len(m.out)-1].id += " in " + whole
			return
		}
	}
}

func (m *mutator) literal(n *hclsyntax.LiteralValueExpr) {
	switch {
	case n.Val.Type() == cty.Number:
		f, _ := n.Val.AsBigFloat().Float64()
		m.replace(n.Range(), fmt.Sprint(f+1))
	case n.Val.Type() == cty.Bool:
		m.replace(n.Range(), fmt.Sprint(n.Val.False()))
	}
}

// elements leaves out one after the other.
func (m *mutator) elements(n *hclsyntax.TupleConsExpr) {
	for i := range n.Exprs {
		var rest []string
		for j, e := range n.Exprs {
			if j != i {
				rest = append(rest, string(e.Range().SliceBytes(m.src)))
			}
		}
		m.replace(n.Range(), "["+strings.Join(rest, ", ")+"]")
	}
}
