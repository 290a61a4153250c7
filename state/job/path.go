package job

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Step is one step of a Path: a name, and where the name is that of labelled
// blocks or of a list, which of them.
type Step struct {
	Name  string // block type, attribute or map key; empty for a list inside a list
	Key   string // the block's label; empty where there is none
	Index int    // position among blocks of the type or elements of the list; -1 for none
}

// Path names a place in a job from the job's own body down.
type Path []Step

// Attr is p's attribute, map key or sole block of that name.
func (p Path) Attr(name string) Path { return p.with(Step{Name: name, Index: -1}) }

// Block is the block of that type and label in p.
func (p Path) Block(name, label string) Path {
	return p.with(Step{Name: name, Key: label, Index: -1})
}

// Elem is element i of the list or of the unlabelled blocks of that name in p.
func (p Path) Elem(name string, i int) Path { return p.with(Step{Name: name, Index: i}) }

func (p Path) with(s Step) Path { return append(slices.Clip(p), s) }

// Parent is p without its last step.
func (p Path) Parent() Path { return p[:len(p)-1] }

// Last is p's last step.
func (p Path) Last() Step { return p[len(p)-1] }

// HasPrefix reports whether p is at or below prefix.
func (p Path) HasPrefix(prefix Path) bool {
	return len(p) >= len(prefix) && slices.Equal(p[:len(prefix)], prefix)
}

// Equal reports whether both name the same place.
func (p Path) Equal(other Path) bool { return slices.Equal(p, other) }

// String is the path as an expression would say it.
func (p Path) String() string {
	b := make([]byte, 0, 16*len(p))
	for _, s := range p {
		switch {
		case s.Name == "":
		case isIdentifier(s.Name):
			if len(b) > 0 {
				b = append(b, '.')
			}
			b = append(b, s.Name...)
		default:
			b = appendKey(b, s.Name)
		}
		if s.Key != "" {
			b = appendKey(b, s.Key)
		}
		if s.Index >= 0 {
			b = append(strconv.AppendInt(append(b, '['), int64(s.Index), 10), ']')
		}
	}
	return string(b)
}

func appendKey(b []byte, key string) []byte {
	return append(strconv.AppendQuote(append(b, '['), key), ']')
}

// isIdentifier is hclsyntax.ValidIdentifier, which runs the whole lexer, for names
// that need it.
func isIdentifier(name string) bool {
	for i, r := range name {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', i > 0 && (r == '_' || r == '-' || '0' <= r && r <= '9'):
		default:
			return hclsyntax.ValidIdentifier(name)
		}
	}
	return name != ""
}

// labelled are the block types whose index is a label; under any other name a
// string index is a map key.
var labelled = map[string]bool{
	"group": true, "task": true, "volume": true, "port": true, "reserved_ports": true, "secret": true, "action": true,
	"device": true, "target": true, "region": true, "envoy_gateway_bind_addresses": true,
}

// free are the blocks below which all names are the user's own, so that no index
// there is a label.
var free = map[string]bool{
	"config": true, "env": true, "meta": true, "canary_meta": true, "tagged_addresses": true, "header": true,
	"headers": true, "options": true, "policy": true, "args": true, "add": true, "set": true,
}

func (p Path) takesLabel() bool {
	inFree := slices.ContainsFunc(p[:len(p)-1], func(s Step) bool { return free[s.Name] })
	return labelled[p.Last().Name] && p.Last().Key == "" && p.Last().Index < 0 && !inFree
}

// PathOf is the Path that a traversal such as group["web"].task["app"].env.KEY
// names. An index that is neither a string nor a whole number is an error.
func PathOf(t hcl.Traversal) (Path, error) { return Path(nil).Follow(t) }

// Follow is the Path that the steps of a traversal lead to from p. A label may be
// written as an index and as an attribute.
func (p Path) Follow(t hcl.Traversal) (Path, error) {
	p = slices.Clone(p)
	for _, step := range t {
		switch step := step.(type) {
		case hcl.TraverseRoot:
			p = p.Attr(step.Name)
		case hcl.TraverseAttr:
			if len(p) > 0 && p.takesLabel() {
				p[len(p)-1].Key = step.Name
			} else {
				p = p.Attr(step.Name)
			}
		case hcl.TraverseIndex:
			if len(p) == 0 {
				return nil, fmt.Errorf("a path may not begin with an index")
			}
			if err := index(&p, step.Key); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("a path may not hold a splat")
		}
	}
	return p, nil
}

func index(p *Path, key cty.Value) error {
	last := &(*p)[len(*p)-1]
	switch key.Type() {
	case cty.String:
		if p.takesLabel() {
			last.Key = key.AsString()
		} else {
			*p = p.Attr(key.AsString())
		}
	case cty.Number:
		i, acc := key.AsBigFloat().Int64()
		if acc != 0 || i < 0 {
			return fmt.Errorf("a list index must be a whole number from 0")
		}
		if last.Index < 0 {
			last.Index = int(i)
		} else {
			*p = p.Elem("", int(i))
		}
	default:
		return fmt.Errorf("a path may be indexed by strings and numbers alone")
	}
	return nil
}

// ParsePath reads what Path.String prints.
func ParsePath(s string) (Path, error) {
	t, diags := hclsyntax.ParseTraversalAbs([]byte(s), "path", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, fmt.Errorf("%q is not a path: %s", s, diags[0].Detail)
	}
	return PathOf(t)
}
