package jobspec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// scope is where an expression stands: which names it may use beside var and
// local.
type scope struct {
	ctx       *hcl.EvalContext
	iterators []string // of the dynamic blocks around it
}

func (s *scope) knows(root string) bool {
	if root == "var" || root == "local" {
		return true
	}
	for _, name := range s.iterators {
		if name == root {
			return true
		}
	}
	return false
}

// child is the scope inside a dynamic block's content.
func (s *scope) child(iterator string, key, value cty.Value) *scope {
	ctx := s.ctx.NewChild()
	ctx.Variables = map[string]cty.Value{
		iterator: cty.ObjectVal(map[string]cty.Value{"key": key, "value": value}),
	}
	return &scope{ctx: ctx, iterators: append(s.iterators[:len(s.iterators):len(s.iterators)], iterator)}
}

// value evaluates an expression as Nomad does. Literals, variables and texts of
// both need no context, which is what keeps parsing fast.
func (d *decoder) value(expr hclsyntax.Expression, s *scope) (cty.Value, hcl.Diagnostics) {
	if v, ok := written(expr); ok {
		return v, nil
	}
	if v, ok := d.known(expr, s); ok {
		return v, nil
	}
	(&binder{decoder: d, scope: s}).bind(expr)
	value, diags := expr.Value(s.ctx)
	for _, diag := range diags {
		d.nameUndefined(diag)
	}
	return value, diags
}

// written is the value of an expression that is written out.
func written(expr hclsyntax.Expression) (cty.Value, bool) {
	switch e := expr.(type) {
	case *hclsyntax.LiteralValueExpr:
		return e.Val, true
	case *hclsyntax.TemplateExpr:
		return writtenText(e)
	case *hclsyntax.TupleConsExpr:
		values := make([]cty.Value, len(e.Exprs))
		for i, elem := range e.Exprs {
			v, ok := written(elem)
			if !ok {
				return cty.NilVal, false
			}
			values[i] = v
		}
		return cty.TupleVal(values), true
	}
	return cty.NilVal, false
}

// writtenText is a string without interpolations; a heredoc has a part for each
// line.
func writtenText(e *hclsyntax.TemplateExpr) (cty.Value, bool) {
	size := 0
	for _, part := range e.Parts {
		lit, ok := part.(*hclsyntax.LiteralValueExpr)
		if !ok || lit.Val.Type() != cty.String || lit.Val.IsNull() || !lit.Val.IsKnown() {
			return cty.NilVal, false
		}
		if len(e.Parts) == 1 {
			return lit.Val, true
		}
		size += len(lit.Val.AsString())
	}
	var b strings.Builder
	b.Grow(size)
	for _, part := range e.Parts {
		b.WriteString(part.(*hclsyntax.LiteralValueExpr).Val.AsString())
	}
	return cty.StringVal(b.String()), len(e.Parts) > 0
}

// known is the value of a variable or a local, or of a text that they are put into.
func (d *decoder) known(expr hclsyntax.Expression, s *scope) (cty.Value, bool) {
	switch e := expr.(type) {
	case *hclsyntax.TemplateWrapExpr:
		return d.known(e.Wrapped, s)
	case *hclsyntax.TemplateExpr:
		return d.knownText(e, s)
	case *hclsyntax.ScopeTraversalExpr:
		name, ok := traverseAttr(e.Traversal, 1)
		if !ok || len(e.Traversal) != 2 || len(s.iterators) > 0 {
			return cty.NilVal, false
		}
		v, ok := d.given(e.Traversal.RootName(), name)
		return v, ok && isPlain(v)
	}
	return cty.NilVal, false
}

func (d *decoder) given(root, name string) (cty.Value, bool) {
	switch root {
	case "var":
		if dec := d.vars.declared[name]; dec != nil {
			return dec.Value, dec.set
		}
	case "local":
		v, ok := d.locals.values[name]
		return v, ok
	}
	return cty.NilVal, false
}

func (d *decoder) knownText(e *hclsyntax.TemplateExpr, s *scope) (cty.Value, bool) {
	var text []byte
	for _, part := range e.Parts {
		v, ok := written(part)
		if !ok {
			v, ok = d.known(part, s)
		}
		if !ok || !isPlain(v) || v.Type() != cty.String && !isWhole(v) {
			return cty.NilVal, false
		}
		text = append(text, plainText(v)...)
	}
	return cty.StringVal(string(text)), true
}

// bind prepares an expression for evaluation: what most expressions are by hand,
// the others by a walk.
func (b *binder) bind(expr hclsyntax.Expression) {
	switch e := expr.(type) {
	case *hclsyntax.LiteralValueExpr:
	case *hclsyntax.ScopeTraversalExpr:
		b.reference(e)
	case *hclsyntax.TemplateWrapExpr:
		b.bind(e.Wrapped)
	case *hclsyntax.TemplateExpr:
		for _, part := range e.Parts {
			b.bind(part)
		}
	case *hclsyntax.TupleConsExpr:
		for _, elem := range e.Exprs {
			b.bind(elem)
		}
	case *hclsyntax.ObjectConsExpr:
		b.object(e)
	case *hclsyntax.FunctionCallExpr:
		b.function(e)
	default:
		hclsyntax.Walk(expr, b)
	}
}

// object: a key that is a bare name or a text is no reference.
func (b *binder) object(e *hclsyntax.ObjectConsExpr) {
	for _, item := range e.Items {
		if key, ok := item.KeyExpr.(*hclsyntax.ObjectConsKeyExpr); !ok || key.ForceNonLiteral || !isName(key.Wrapped) {
			hclsyntax.Walk(e, b)
			return
		}
	}
	for _, item := range e.Items {
		b.bind(item.ValueExpr)
	}
}

func isName(e hclsyntax.Expression) bool {
	if t, ok := e.(*hclsyntax.ScopeTraversalExpr); ok {
		return len(t.Traversal) == 1
	}
	return isLiteral(e)
}

// function: the second argument of convert is a type.
func (b *binder) function(e *hclsyntax.FunctionCallExpr) {
	if e.Name == "convert" {
		hclsyntax.Walk(e, b)
		return
	}
	b.call(e)
	for _, arg := range e.Args {
		b.bind(arg)
	}
}

// nameUndefined says in the words of job files that a var or local is not there.
func (d *decoder) nameUndefined(diag *hcl.Diagnostic) {
	ref, ok := diag.Expression.(*hclsyntax.ScopeTraversalExpr)
	if !ok || diag.Summary != "Unsupported attribute" {
		return
	}
	name, _ := traverseAttr(ref.Traversal, 1)
	switch root := ref.Traversal.RootName(); {
	case root == "var" && d.vars.declared[name] == nil:
		diag.Summary = "Undefined variable"
		diag.Detail = fmt.Sprintf("No variable %q is declared in this file.%s", name, didYouMean(name, d.vars.names()))
	case root == "local" && d.locals.exprs[name] == nil:
		diag.Summary = "Undefined local"
		diag.Detail = fmt.Sprintf("No locals block defines %q.%s", name, didYouMean(name, slices.Collect(maps.Keys(d.locals.exprs))))
	}
}

func isLiteral(expr hclsyntax.Expression) bool {
	switch e := expr.(type) {
	case *hclsyntax.LiteralValueExpr:
		return true
	case *hclsyntax.TemplateExpr:
		for _, part := range e.Parts {
			if _, ok := part.(*hclsyntax.LiteralValueExpr); !ok {
				return false
			}
		}
		return true
	case *hclsyntax.TupleConsExpr:
		for _, elem := range e.Exprs {
			if !isLiteral(elem) {
				return false
			}
		}
		return true
	}
	return false
}

// isKept reports whether a bound expression is a reference that Nomad keeps as
// its own text.
func isKept(expr hclsyntax.Expression) bool {
	ref, ok := expr.(*hclsyntax.ScopeTraversalExpr)
	return ok && strings.HasPrefix(ref.Traversal.RootName(), "${")
}

// isVerbatim: the job holds what the source says, literals and kept references.
func isVerbatim(expr hclsyntax.Expression) bool {
	switch e := expr.(type) {
	case *hclsyntax.TemplateExpr:
		return !slices.ContainsFunc(e.Parts, func(part hclsyntax.Expression) bool { return !isLiteral(part) && !isKept(part) })
	case *hclsyntax.TemplateWrapExpr:
		return isKept(e.Wrapped)
	}
	return isLiteral(expr) || isKept(expr)
}

// binder rewrites an expression where Nomad's HCL differs from upstream's: a
// reference to an unknown root is its own text, and && and || evaluate both
// sides. It also notes calls of functions that depend on more than their arguments. Binding twice is harmless.
type binder struct {
	decoder *decoder
	scope   *scope
	locals  []map[string]struct{} // names of the for expressions around
	skip    hclsyntax.Node        // holds names that are no references
	skipped int
}

var typeConstraint = typeexpr.TypeConstraintType

func (b *binder) Enter(node hclsyntax.Node) hcl.Diagnostics {
	if b.skip != nil && node == b.skip {
		b.skipped++
	}
	switch n := node.(type) {
	case hclsyntax.ChildScope:
		b.locals = append(b.locals, n.LocalNames)
	case *hclsyntax.BinaryOpExpr:
		if n.Op.ShortCircuit != nil {
			n.Op = &hclsyntax.Operation{Impl: n.Op.Impl, Type: n.Op.Type}
		}
	case *hclsyntax.ObjectConsKeyExpr:
		if !n.ForceNonLiteral && b.skipped == 0 {
			b.skip = n.Wrapped
		}
	case *hclsyntax.FunctionCallExpr:
		b.call(n)
	case *hclsyntax.ScopeTraversalExpr:
		b.reference(n)
	}
	return nil
}

func (b *binder) Exit(node hclsyntax.Node) hcl.Diagnostics {
	if _, ok := node.(hclsyntax.ChildScope); ok {
		b.locals = b.locals[:len(b.locals)-1]
	}
	if b.skip != nil && node == b.skip {
		b.skipped--
		b.skip = nil
	}
	return nil
}

func (b *binder) call(n *hclsyntax.FunctionCallExpr) {
	if fsFunctions[n.Name] {
		b.decoder.usesFS = true
	}
	if _, ok := volatile[n.Name]; ok {
		b.decoder.volatile = true
	}
	f, ok := b.decoder.functions()[n.Name]
	if !ok || b.skipped > 0 {
		return
	}
	for i, p := range f.Params() {
		if p.Type.Equals(typeConstraint) && i < len(n.Args) {
			b.skip = n.Args[i]
		}
	}
}

func (b *binder) reference(n *hclsyntax.ScopeTraversalExpr) {
	root := n.Traversal.RootName()
	if strings.HasPrefix(root, "${") { // bound before, by another evaluation of the tree
		b.decoder.base.ctx.Variables[root] = cty.StringVal(root)
		return
	}
	if b.skipped > 0 || b.scope.knows(root) {
		return
	}
	for _, names := range b.locals {
		if _, ok := names[root]; ok {
			return
		}
	}
	at := n.Traversal.SourceRange()
	text := literalText(b.decoder.src, at.Start.Byte, at.End.Byte)
	b.decoder.unknownRoot(root, at)
	b.decoder.base.ctx.Variables[text] = cty.StringVal(text)
	n.Traversal = hcl.Traversal{hcl.TraverseRoot{Name: text, SrcRange: at}}
}

// literalText is what Nomad makes of a reference that it does not know: the
// source text, wrapped in ${ }. What stands between the reference and the
// closing brace is kept as Nomad keeps it, spaces doubled and all [M].
func literalText(src []byte, start, end int) string {
	open := interpolationBefore(src, start)
	if open < 0 {
		return "${" + string(src[start:end]) + "}"
	}
	text := string(src[open:end])
	for i := end + 1; i < len(src); i++ {
		switch src[i] {
		case ' ':
		case '}':
			text += string(src[end:i])
		default:
			return text + "}"
		}
	}
	return text
}

// interpolationBefore is where the ${ starts that only spaces separate from
// start, or -1.
func interpolationBefore(src []byte, start int) int {
	i := start - 1
	for i >= 0 && src[i] == ' ' {
		i--
	}
	if i >= 1 && src[i] == '{' && src[i-1] == '$' {
		return i - 1
	}
	return -1
}

// nomadRoots are the roots that Nomad interpolates at run time.
var nomadRoots = map[string]bool{"node": true, "attr": true, "meta": true, "env": true, "device": true, "driver": true, "unique": true, "secret": true, "volume": true}

func (d *decoder) unknownRoot(root string, at hcl.Range) {
	if nomadRoots[root] || strings.HasPrefix(root, "NOMAD_") || root == strings.ToUpper(root) { // in capitals: some environment variable
		return
	}
	d.diags = append(d.diags, diagnostic(hcl.DiagWarning, at, "Unknown reference \""+root+"\"",
		"Neither the job file nor Nomad knows it, so it stays as it is written. It looks like an unrendered template; "+
			"a variable is written var."+root+", a local local."+root+"."))
}
