package policies

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// decoder reads the blocks of policy files and gathers every mistake on the way,
// so that all of them are shown in one go. What it returns after a mistake is a
// zero value that nobody will use.
type decoder struct {
	kinds map[string]Kind
	now   time.Time
	diags hcl.Diagnostics
	uses  uses

	source   Source               // the file that is being read
	params   map[string]cty.Value // its variables and locals
	over     over                 // what the rule that is being read goes over
	declared map[string][]string  // the variables of each file

	variables []VariableInfo
}

func (d *decoder) fail(r hcl.Range, summary, detail string, args ...any) {
	d.diags = append(d.diags, failure(r, summary, detail, args...))
}

func failure(r hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: &r,
	}
}

func (d *decoder) content(body hcl.Body, schema *hcl.BodySchema) *hcl.BodyContent {
	content, diags := body.Content(schema)
	d.diags = append(d.diags, diags...)
	return content
}

// schemaOf has optional attributes, and blocks without labels.
func schemaOf(attrs []string, blocks ...string) *hcl.BodySchema {
	s := &hcl.BodySchema{}
	for _, name := range attrs {
		s.Attributes = append(s.Attributes, hcl.AttributeSchema{Name: name})
	}
	for _, name := range blocks {
		s.Blocks = append(s.Blocks, hcl.BlockHeaderSchema{Type: name})
	}
	return s
}

// single is the only block of its type, or nil.
func (d *decoder) single(content *hcl.BodyContent, name string) *hcl.Block {
	var only *hcl.Block
	for _, b := range content.Blocks {
		switch {
		case b.Type != name:
		case only == nil:
			only = b
		default:
			d.fail(b.DefRange, "Duplicate "+name+" block",
				"There may be one %s block here; the first is on line %d. Put both into one, or write a second policy.",
				name, only.DefRange.Start.Line)
		}
	}
	return only
}

// constant evaluates an attribute that may use functions, but nothing of a job.
func (d *decoder) constant(a *hcl.Attribute, want cty.Type, need string) (cty.Value, bool) {
	return d.constantExpr(a.Name, a.Expr, want, need)
}

func (d *decoder) constantExpr(name string, e hcl.Expression, want cty.Type, need string) (cty.Value, bool) {
	if _, ok := d.expression(e); !ok {
		return cty.NilVal, false
	}
	v, diags := e.Value(&hcl.EvalContext{Functions: functions, Variables: d.params})
	if diags.HasErrors() {
		d.diags = append(d.diags, diags...)
		return cty.NilVal, false
	}
	if !v.IsWhollyKnown() {
		return cty.NilVal, false // it uses a variable or local whose own mistake is reported
	}
	out, err := convert.Convert(v, want)
	if err != nil || out.IsNull() {
		d.fail(e.Range(), "Wrong type", "%s must be %s%s.", name, need, given(v))
		return cty.NilVal, false
	}
	return out, true
}

func given(v cty.Value) string {
	if v.IsNull() {
		return ", not null"
	}
	return ", not " + article(typeName(v.Type()))
}

// typeName uses the words of the documentation, which knows lists and maps.
func typeName(t cty.Type) string {
	switch {
	case t.IsTupleType():
		return "list"
	case t.IsObjectType():
		return "map"
	}
	return t.FriendlyName()
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

func (d *decoder) text(a *hcl.Attribute) string {
	if a == nil {
		return ""
	}
	v, ok := d.constant(a, cty.String, "a string")
	if !ok {
		return ""
	}
	return v.AsString()
}

func (d *decoder) boolean(a *hcl.Attribute) bool {
	if a == nil {
		return false
	}
	v, ok := d.constant(a, cty.Bool, "true or false")
	return ok && v.True()
}

// texts reads a list of strings. One that is empty would match nothing, which
// nobody means.
func (d *decoder) texts(a *hcl.Attribute) []string {
	if a == nil {
		return nil
	}
	v, ok := d.constant(a, cty.List(cty.String), `a list of strings such as ["a", "b"]`)
	if !ok {
		return nil
	}
	var list []string
	for _, e := range v.AsValueSlice() {
		if e.IsNull() || e.AsString() == "" {
			d.fail(a.Expr.Range(), "Empty string in a list", "Every element of %s must be a string that is not empty.", a.Name)
			return nil
		}
		list = append(list, e.AsString())
	}
	if len(list) == 0 {
		d.fail(a.Expr.Range(), "Empty list", "%s with nothing in it matches nothing. Leave it out, or name something.", a.Name)
	}
	return list
}

// oneOf reads one of a few words; without the attribute it is the first of them.
func (d *decoder) oneOf(a *hcl.Attribute, words ...string) string {
	if a == nil {
		return words[0]
	}
	s := d.text(a)
	if s != "" && !slices.Contains(words, s) {
		d.fail(a.Expr.Range(), "Unknown value", "%s is %s, not %q.%s", a.Name, either(words), s, didYouMean(s, words))
	}
	return s
}

func either(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	return strings.Join(quoted, " or ")
}

// duration reads a span of time above zero.
func (d *decoder) duration(a *hcl.Attribute) time.Duration {
	if a == nil {
		return 0
	}
	s := d.text(a)
	span, err := time.ParseDuration(s)
	if err != nil || span <= 0 {
		d.fail(a.Expr.Range(), "Not a duration", `%s must be a time above zero such as "90s" or "11m", not %q.`, a.Name, s)
	}
	return span
}

func (d *decoder) regexp(r hcl.Range, pattern string) *regexp.Regexp {
	re, err := regexp.Compile(pattern)
	if err != nil {
		d.fail(r, "Not a regular expression", "%s. The syntax is RE2, https://github.com/google/re2/wiki/Syntax.", regexpError(err))
	}
	return re
}

func regexpError(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}

// didYouMean proposes the known word that is nearest to a typo, as hcl does for
// the names of attributes and blocks.
func didYouMean(given string, known []string) string {
	best, distance := "", 3
	for _, w := range known {
		if n := levenshtein.Distance(given, w, nil); n < distance {
			best, distance = w, n
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" Did you mean %q?", best)
}
