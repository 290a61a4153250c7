package jobspec

import (
	"bytes"
	"slices"

	"github.com/apparentlymart/go-textseg/v15/textseg"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// atom is one step into a value: a key, or an index where key is empty.
type atom struct {
	key   string
	index int
}

func atoms(p job.Path) []atom {
	var out []atom
	for _, s := range p {
		if s.Name != "" {
			out = append(out, atom{key: s.Name})
		}
		if s.Key != "" {
			out = append(out, atom{key: s.Key})
		}
		if s.Index >= 0 {
			out = append(out, atom{index: s.Index})
		}
	}
	return out
}

// locate is the innermost place of the file on the way to p, and the steps from
// there on.
func (t *trace) locate(p job.Path) (place, job.Path) {
	found, rest := t.places[""], p
	cur := job.Path{}
	for i, s := range p {
		if s.Name == "identity" && s.Index >= 0 {
			s.Index += t.defaultIdentityBefore(cur, s.Index)
		}
		known := false
		for _, way := range waysInto(cur, s, p[i+1:]) {
			if pl, ok := t.places[way.at.String()]; ok {
				found, rest, cur, known = pl, way.rest, way.at, true
				break
			}
		}
		if found.attr != nil {
			break
		}
		if !known { // the group that a task outside of groups is put into has no place
			cur = append(slices.Clip(cur), s)
		}
	}
	return found, rest
}

// defaultIdentityBefore is 1 if the default identity, which Nomad keeps apart,
// stands before the i-th other one.
func (t *trace) defaultIdentityBefore(task job.Path, i int) int {
	for k := range i + 1 {
		pl, ok := t.places[task.Elem("identity", k).String()]
		if !ok {
			return 0
		}
		name := ""
		if attr := pl.block.body.Attributes["name"]; attr != nil {
			v, _ := t.decoder.value(attr.Expr, pl.block.scope)
			name, _ = asText(v)
		}
		if name == "" || name == "default" {
			return 1
		}
	}
	return 0
}

type way struct{ at, rest job.Path }

// waysInto are the paths that a step may have been recorded under: a list's index
// is part of the step, an only block's may be left out, and what stands in the job
// or the group for all tasks shows in each task.
func waysInto(cur job.Path, s job.Step, rest job.Path) []way {
	with := func(base job.Path, s job.Step) job.Path { return append(slices.Clip(base), s) }
	ways := []way{{with(cur, s), rest}}
	if s.Index >= 0 {
		whole := job.Step{Name: s.Name, Key: s.Key, Index: -1}
		ways = append(ways, way{with(cur, whole), append(job.Path{{Index: s.Index}}, rest...)})
	}
	if s.Index < 0 && s.Key == "" {
		ways = append(ways, way{with(cur, job.Step{Name: s.Name}), rest})
	}
	if (s.Name == "vault" || s.Name == "secret") && len(cur) == 2 {
		ways = append(ways, way{with(cur[:1], s), rest}, way{with(nil, s), rest})
	}
	return ways
}

// Range is the literal that an edit at p would change, wherever it stands (in a
// local, a variable's default, a function's argument); where there is none, the
// attribute, the block's header, or the job's.
func (f *File) Range(p job.Path) hcl.Range {
	return f.rangeFor(job.Edit{Path: p, Op: job.Set})
}

func (f *File) rangeFor(e job.Edit) hcl.Range {
	if f.json {
		return f.jsonRange(f.locateJSON(e.Path))
	}
	t := f.traced(e.Path)
	pl, rest := t.locate(e.Path)
	if pl.attr == nil {
		return pl.block.header()
	}
	old, _ := job.At(f.Job, e.Path)
	fd := finder{trace: t, edit: e, old: old}
	spots := fd.spots(pl, rest)
	if i := slices.IndexFunc(spots, spot.isLiteral); e.Op == job.Set && i > 0 && spots[0].isReference() {
		return spots[i].expr.Range() // what is set is the literal that feeds the reference
	}
	for _, s := range spots {
		if s.expr != nil {
			return s.expr.Range()
		}
	}
	return pl.attr.SrcRange
}

func (s spot) isLiteral() bool { return s.expr != nil && isVerbatim(s.expr) }

func (s spot) isReference() bool {
	_, ok := s.expr.(*hclsyntax.ScopeTraversalExpr)
	return ok
}

// RangeOf is the part of the file that an edit would change: of a Replace the very
// text, where it can be told; else as Range.
func (f *File) RangeOf(e job.Edit) hcl.Range {
	if f.json {
		return f.rangeOfJSON(e)
	}
	if e.Op == job.Remove {
		return f.rangeFor(e)
	}
	whole := f.Range(e.Path)
	if e.Op != job.Replace || e.Old == "" {
		return whole
	}
	t := f.traced(e.Path)
	pl, rest := t.locate(e.Path)
	if pl.attr == nil {
		return whole
	}
	old, _ := job.At(f.Job, e.Path)
	fd := finder{trace: t, edit: e, old: old}
	s := splicer{src: f.Bytes}
	text, _ := asText(old)
	for _, sp := range fd.spots(pl, rest) {
		if template, ok := sp.expr.(*hclsyntax.TemplateExpr); ok {
			for _, c := range s.replace(template, e.Old, "", nth(e, text)) {
				return hcl.Range{Filename: whole.Filename, Start: f.pos(c[0].start), End: f.pos(c[0].end)}
			}
		}
	}
	return whole
}

// pos counts lines, and columns in characters as people see them.
func (f *File) pos(at int) hcl.Pos {
	line := bytes.LastIndexByte(f.Bytes[:at], '\n') + 1
	columns, _ := textseg.TokenCount(bytes.TrimPrefix(f.Bytes[line:at], []byte("\uFEFF")), textseg.ScanGraphemeClusters)
	return hcl.Pos{Line: bytes.Count(f.Bytes[:at], []byte("\n")) + 1, Column: columns + 1, Byte: at}
}

// spot is where an edit may be tried: an expression, and what it is part of.
type spot struct {
	expr   hclsyntax.Expression // nil: there is none yet, key is to be added
	tuple  *hclsyntax.TupleConsExpr
	object *hclsyntax.ObjectConsExpr
	attr   *hclsyntax.Attribute
	block  block // with attr
	index  int   // in tuple or object
	key    string
}

// finder collects the spots that may be behind a value, the likeliest first.
// They are guesses: whoever uses them verifies.
type finder struct {
	trace *trace
	edit  job.Edit
	old   cty.Value // the value now; NilVal: none
	found []spot
	seen  map[hclsyntax.Node]bool
	depth int
}

func (fd *finder) spots(pl place, rest job.Path) []spot {
	fd.seen = map[hclsyntax.Node]bool{}
	whole := spot{expr: pl.attr.Expr, attr: pl.attr, block: pl.block}
	if fd.edit.Op == job.Remove && len(rest) == 0 {
		return []spot{whole}
	}
	fd.follow(whole, pl.block.scope, atoms(rest))
	if fd.old != cty.NilVal {
		fd.search(pl.attr.Expr, pl.block.scope)
	}
	slices.SortStableFunc(fd.found, func(a, b spot) int { return addsLast(a) - addsLast(b) })
	return fd.found
}

// addsLast: to change what is there comes before adding a key that overrides it.
func addsLast(s spot) int {
	if s.expr == nil {
		return 1
	}
	return 0
}

func (fd *finder) yield(s spot) {
	for _, other := range fd.found {
		if other.expr != nil && s.expr != nil && other.expr.Range() == s.expr.Range() && (other.tuple == nil) == (s.tuple == nil) {
			return
		}
	}
	fd.found = append(fd.found, s)
}

const maxDepth = 50

// follow goes the way that the value takes, as far as it can be told.
func (fd *finder) follow(s spot, sc *scope, rest []atom) {
	if fd.depth++; fd.depth > maxDepth {
		return
	}
	defer func() { fd.depth-- }()
	inner := func(e hclsyntax.Expression, rest []atom) { fd.follow(spot{expr: e}, sc, rest) }
	if len(rest) == 0 && isVerbatim(s.expr) {
		fd.yield(s)
		return
	}
	switch e := s.expr.(type) {
	case *hclsyntax.ParenthesesExpr:
		inner(e.Expression, rest)
	case *hclsyntax.TemplateWrapExpr:
		inner(e.Wrapped, rest)
	case *hclsyntax.ConditionalExpr:
		if taken := fd.branch(e, sc); taken != nil {
			inner(taken, rest)
		}
	case *hclsyntax.ScopeTraversalExpr:
		fd.reference(e.Traversal, rest)
	case *hclsyntax.IndexExpr:
		if a, ok := fd.key(e.Key, sc); ok {
			inner(e.Collection, append([]atom{a}, rest...))
		}
	case *hclsyntax.FunctionCallExpr:
		fd.call(e, sc, rest)
	case *hclsyntax.TupleConsExpr:
		fd.tuple(s, e, sc, rest)
	case *hclsyntax.ObjectConsExpr:
		fd.object(s, e, sc, rest)
	default:
		if len(rest) == 0 && isText(e) {
			fd.yield(s)
		}
	}
}

// isText: literals, and templates, whose literal parts can be edited.
func isText(e hclsyntax.Expression) bool {
	if _, ok := e.(*hclsyntax.TemplateExpr); ok {
		return true
	}
	return isLiteral(e) || isNegative(e)
}

func isNegative(e hclsyntax.Expression) bool {
	u, ok := e.(*hclsyntax.UnaryOpExpr)
	return ok && isLiteral(u.Val)
}

func (fd *finder) tuple(s spot, e *hclsyntax.TupleConsExpr, sc *scope, rest []atom) {
	switch {
	case len(rest) == 0:
		fd.yield(s)
	case rest[0].key == "" && rest[0].index >= 0 && rest[0].index < len(e.Exprs):
		i := rest[0].index
		elem := spot{expr: e.Exprs[i], tuple: e, index: i}
		if len(rest) == 1 && (fd.edit.Op == job.Remove || !isVerbatim(elem.expr)) {
			fd.yield(elem)
		}
		if fd.edit.Op != job.Remove || len(rest) > 1 {
			fd.follow(elem, sc, rest[1:])
		}
	case rest[0].key != "" && len(e.Exprs) == 1:
		fd.follow(spot{expr: e.Exprs[0]}, sc, rest)
	}
}

func (fd *finder) object(s spot, e *hclsyntax.ObjectConsExpr, sc *scope, rest []atom) {
	if len(rest) > 0 && rest[0] == (atom{}) {
		rest = rest[1:] // a map in a config is a list of one map
	}
	if len(rest) == 0 {
		fd.yield(s)
		return
	}
	for i := len(e.Items) - 1; i >= 0; i-- {
		a, ok := fd.key(e.Items[i].KeyExpr, sc)
		if !ok || a.key == "" || a.key != rest[0].key {
			continue
		}
		item := spot{expr: e.Items[i].ValueExpr, object: e, index: i}
		if len(rest) == 1 && fd.edit.Op == job.Remove {
			fd.yield(item)
			return
		}
		fd.follow(item, sc, rest[1:])
		return
	}
	if len(rest) == 1 && fd.edit.Op == job.Set && rest[0].key != "" {
		fd.yield(spot{object: e, key: rest[0].key})
	}
}

func (fd *finder) key(e hclsyntax.Expression, sc *scope) (atom, bool) {
	v, diags := fd.trace.decoder.value(e, sc)
	if diags.HasErrors() || v.IsNull() || !v.IsKnown() {
		return atom{}, false
	}
	return atomOf(v)
}

func atomOf(v cty.Value) (atom, bool) {
	switch v.Type() {
	case cty.String:
		return atom{key: v.AsString()}, true
	case cty.Number:
		i, _ := v.AsBigFloat().Int64()
		return atom{index: int(i)}, true
	}
	return atom{}, false
}

func (fd *finder) branch(e *hclsyntax.ConditionalExpr, sc *scope) hclsyntax.Expression {
	v, diags := fd.trace.decoder.value(e.Condition, sc)
	if diags.HasErrors() || v.IsNull() || !v.IsKnown() || v.Type() != cty.Bool {
		return nil
	}
	if v.True() {
		return e.TrueResult
	}
	return e.FalseResult
}

// reference goes on in the local or the variable's default that a reference
// names.
func (fd *finder) reference(t hcl.Traversal, rest []atom) {
	expr, steps := fd.trace.decoder.feed(t)
	if expr == nil {
		return
	}
	for _, step := range slices.Backward(steps) {
		a, ok := atom{}, false
		switch step := step.(type) {
		case hcl.TraverseAttr:
			a, ok = atom{key: step.Name}, true
		case hcl.TraverseIndex:
			a, ok = atomOf(step.Key)
		}
		if !ok {
			return
		}
		rest = append([]atom{a}, rest...)
	}
	fd.follow(spot{expr: expr}, fd.trace.decoder.base, rest)
}

// feed is the expression behind var.NAME or local.NAME and the steps that follow.
func (d *decoder) feed(t hcl.Traversal) (hclsyntax.Expression, hcl.Traversal) {
	name, ok := traverseAttr(t, 1)
	if !ok {
		return nil, nil
	}
	switch t.RootName() {
	case "local":
		if attr := d.locals.exprs[name]; attr != nil {
			return attr.Expr, t[2:]
		}
	case "var":
		if dec := d.vars.declared[name]; dec != nil && dec.defaultExpr != nil {
			return dec.defaultExpr, t[2:]
		}
	}
	return nil, nil
}

// call knows the two functions that carry places through: concat and merge.
func (fd *finder) call(e *hclsyntax.FunctionCallExpr, sc *scope, rest []atom) {
	if len(rest) == 0 {
		return
	}
	switch e.Name {
	case "concat":
		i := rest[0].index
		for _, arg := range e.Args {
			v, diags := fd.trace.decoder.value(arg, sc)
			if diags.HasErrors() || v.IsNull() || !v.CanIterateElements() {
				return
			}
			if n := v.LengthInt(); i >= n {
				i -= n
				continue
			}
			fd.follow(spot{expr: arg}, sc, append([]atom{{index: i}}, rest[1:]...))
			return
		}
	case "merge":
		for _, arg := range slices.Backward(e.Args) {
			before := len(fd.found)
			fd.follow(spot{expr: arg}, sc, rest)
			if len(fd.found) > before && fd.found[before].expr != nil {
				return
			}
		}
	}
}

// search finds whatever in an expression, and in what feeds it, looks like the
// value: the last resort, since it knows nothing of what the expression does.
func (fd *finder) search(expr hclsyntax.Expression, sc *scope) {
	if fd.seen[expr] {
		return
	}
	fd.seen[expr] = true
	_ = hclsyntax.VisitAll(expr, func(node hclsyntax.Node) hcl.Diagnostics {
		if ref, ok := node.(*hclsyntax.ScopeTraversalExpr); ok {
			if feed, _ := fd.trace.decoder.feed(ref.Traversal); feed != nil {
				fd.search(feed, fd.trace.decoder.base)
			}
		} else if fd.edit.Op == job.Remove {
			fd.removable(node, sc)
		} else {
			fd.changeable(node, sc)
		}
		return nil
	})
}

// removable yields the elements of a list or map that are the value.
func (fd *finder) removable(node hclsyntax.Node, sc *scope) {
	switch n := node.(type) {
	case *hclsyntax.TupleConsExpr:
		for i, elem := range n.Exprs {
			if fd.is(elem, sc) {
				fd.yield(spot{expr: elem, tuple: n, index: i})
			}
		}
	case *hclsyntax.ObjectConsExpr:
		for i, item := range n.Items {
			if fd.is(item.ValueExpr, sc) {
				fd.yield(spot{expr: item.ValueExpr, object: n, index: i})
			}
		}
	}
}

// changeable yields texts, and numbers and bools that are the value.
func (fd *finder) changeable(node hclsyntax.Node, sc *scope) {
	switch n := node.(type) {
	case *hclsyntax.TemplateExpr:
		fd.yield(spot{expr: n})
	case *hclsyntax.TemplateWrapExpr:
		if isVerbatim(n) {
			fd.yield(spot{expr: n})
		}
	case *hclsyntax.LiteralValueExpr:
		if n.Val.Type() != cty.String && fd.is(n, sc) {
			fd.yield(spot{expr: n})
		}
	}
}

func (fd *finder) is(e hclsyntax.Expression, sc *scope) bool {
	if fd.old == cty.NilVal {
		return false
	}
	v, diags := fd.trace.decoder.value(e, sc)
	return !diags.HasErrors() && v.IsWhollyKnown() && v.RawEquals(fd.old)
}
