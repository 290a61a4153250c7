package policytest

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"nomad-reconcile/policies"
)

// value evaluates an attribute, which may refer to nothing.
func (d *decoder) value(a *hcl.Attribute, want cty.Type, need string) (cty.Value, bool) {
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() {
		d.diags = append(d.diags, diags...)
		return cty.NilVal, false
	}
	out, err := convert.Convert(v, want)
	if err != nil || out.IsNull() || !out.IsWhollyKnown() {
		d.fail(a.Expr.Range(), "Wrong type", "%s must be %s.", a.Name, need)
		return cty.NilVal, false
	}
	return out, true
}

// part is a text to look for. One that is empty would be found in anything.
func (d *decoder) part(a *hcl.Attribute) string {
	if a == nil {
		return ""
	}
	v, ok := d.value(a, cty.String, "a string")
	if !ok {
		return ""
	}
	if v.AsString() == "" {
		d.fail(a.Expr.Range(), "Empty string", "Write what %s is to hold, or leave it out.", a.Name)
	}
	return v.AsString()
}

func (d *decoder) boolean(a *hcl.Attribute) *bool {
	if a == nil {
		return nil
	}
	if v, ok := d.value(a, cty.Bool, "true or false"); ok {
		return new(v.True())
	}
	return nil
}

// position is a line or a column, counted from 1; 0 without the attribute.
func (d *decoder) position(a *hcl.Attribute) int {
	if a == nil {
		return 0
	}
	const need, most = "a whole number from 1", 1 << 30
	v, ok := d.value(a, cty.Number, need)
	if !ok {
		return 0
	}
	n, rounded := v.AsBigFloat().Int64()
	if rounded != 0 || n < 1 || n > most {
		d.fail(a.Expr.Range(), "Not a position", "%s must be %s.", a.Name, need)
		return 0
	}
	return int(n)
}

func (d *decoder) oneOf(a *hcl.Attribute, one, other string) string {
	if a == nil {
		return ""
	}
	v, ok := d.value(a, cty.String, "a string")
	if !ok {
		return ""
	}
	if s := v.AsString(); s == one || s == other {
		return s
	}
	d.fail(a.Expr.Range(), "Unknown value", "%s is %q or %q, not %q.%s", a.Name, one, other, v.AsString(), didYouMean(v.AsString(), []string{one, other}))
	return ""
}

// day is the zero time without the attribute.
func (d *decoder) day(a *hcl.Attribute) time.Time {
	if a == nil {
		return time.Time{}
	}
	v, ok := d.value(a, cty.String, `a day such as "2027-03-31"`)
	if !ok {
		return time.Time{}
	}
	day, err := time.Parse(time.DateOnly, v.AsString())
	if err != nil {
		d.fail(a.Expr.Range(), "Not a date", `%s must be a day such as "2027-03-31", not %q.`, a.Name, v.AsString())
	}
	return day
}

// givens are the elements of a map, each with its place.
func (d *decoder) givens(a *hcl.Attribute) map[string]policies.Given {
	if a == nil {
		return nil
	}
	items, diags := hcl.ExprMap(a.Expr)
	if diags.HasErrors() {
		d.fail(a.Expr.Range(), "Wrong type", `%s must be a map such as { name = "value" }.`, a.Name)
		return nil
	}
	out := map[string]policies.Given{}
	for _, item := range items {
		key, diags := item.Key.Value(nil)
		value, more := item.Value.Value(nil)
		if diags = append(diags, more...); diags.HasErrors() {
			d.diags = append(d.diags, diags...)
			continue
		}
		name, err := convert.Convert(key, cty.String)
		if err != nil || name.IsNull() {
			d.fail(item.Key.Range(), "Wrong type", "A key of %s must be a name.", a.Name)
			continue
		}
		out[name.AsString()] = policies.Given{Value: value, Range: item.Value.Range(), Name: item.Key.Range()}
	}
	return out
}

// merged has the values of both; those of a test win over those of its file.
func merged(shared, own map[string]policies.Given) map[string]policies.Given {
	out := maps.Clone(shared)
	if out == nil {
		return own
	}
	maps.Copy(out, own)
	return out
}

// vars are values for the variables of a job file, as -var would give them.
func (d *decoder) vars(a *hcl.Attribute) map[string]string {
	out := map[string]string{}
	for name, g := range d.givens(a) {
		if s, err := convert.Convert(g.Value, cty.String); err == nil && !s.IsNull() {
			out[name] = s.AsString()
			continue
		}
		data, err := ctyjson.Marshal(g.Value, g.Value.Type())
		if err != nil {
			d.fail(g.Range, "Wrong type", "%q cannot be the value of a variable.", name)
		}
		out[name] = string(data)
	}
	return out
}

// text is what an attribute holds, or the file that another one names.
func (d *decoder) text(test string, attrs hcl.Attributes, inline, file string) *text {
	a, f := attrs[inline], attrs[file]
	if a != nil && f != nil {
		d.fail(f.NameRange, "Said twice", "A test has %s or %s, not both.", inline, file)
	}
	switch {
	case a != nil:
		s, ok := d.raw(a)
		if !ok {
			return nil
		}
		t := &text{name: d.name + " (" + inline + " of " + strconv.Quote(test) + ")", bytes: []byte(s), at: a.Expr.Range(), inline: true}
		d.sources[t.name] = &hcl.File{Bytes: t.bytes}
		return t
	case f != nil:
		if name, ok := d.value(f, cty.String, "the name of a file"); ok {
			return d.named(name.AsString(), f.Expr.Range())
		}
	}
	return nil
}

// raw is the text of a string or heredoc. Interpolations in it belong to the job,
// not to the test file, and stay as they are.
func (d *decoder) raw(a *hcl.Attribute) (string, bool) {
	var parts []hclsyntax.Expression
	switch e := a.Expr.(type) {
	case *hclsyntax.TemplateExpr:
		parts = e.Parts
	case *hclsyntax.TemplateWrapExpr:
		parts = []hclsyntax.Expression{e.Wrapped}
	default:
		v, ok := d.value(a, cty.String, "a string or a heredoc")
		if !ok {
			return "", false
		}
		return v.AsString(), true
	}
	var b strings.Builder
	for _, part := range parts {
		if l, ok := part.(*hclsyntax.LiteralValueExpr); ok && l.Val.Type() == cty.String {
			b.WriteString(l.Val.AsString())
			continue
		}
		src := string(part.Range().SliceBytes(d.src))
		if strings.HasPrefix(src, "%{") {
			d.fail(part.Range(), "Directive in a text", "Write %%%%{ for a %%{ that is the job's.")
			return "", false
		}
		b.WriteString("${" + src + "}")
	}
	return b.String(), true
}

// named reads a file that is named relative to the test file.
func (d *decoder) named(name string, at hcl.Range) *text {
	full := name
	if !path.IsAbs(name) {
		full = path.Join(path.Dir(d.name), name)
	}
	src, err := d.read(full)
	if err != nil {
		d.fail(at, "File cannot be read", "Reading %s: %s. Names of files are relative to the test file.", full, reason(err))
		return nil
	}
	return &text{name: full, bytes: src, at: at}
}

func (d *decoder) read(name string) ([]byte, error) {
	src, err := fs.ReadFile(d.fsys, name)
	if err == nil {
		d.sources[name] = &hcl.File{Bytes: src}
	}
	return src, err
}

// reason drops the path that the message around it names already.
func reason(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return err.Error()
}

// didYouMean proposes the known word that is nearest to a typo.
func didYouMean(given string, known []string) string {
	best, distance := "", 4
	for _, w := range slices.Sorted(slices.Values(known)) {
		if n := levenshtein.Distance(given, w, nil); n < distance {
			best, distance = w, n
		}
	}
	if best == "" {
		return ""
	}
	return " Did you mean " + strconv.Quote(best) + "?"
}
