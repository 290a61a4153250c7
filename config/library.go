package config

import (
	"fmt"
	"maps"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Value is a constant and where it stands.
type Value struct {
	cty.Value
	Range hcl.Range // of the value
	Name  hcl.Range // of what it is called
}

// Library asks for a policy of the library, with values and terms of one's own.
// Which names and variables there are, config does not know.
type Library struct {
	Name       string
	Range      hcl.Range // of the name
	Vars       map[string]Value
	Enforce    string     // deny, warn; empty: as the policy says
	Fix        *bool      // nil: as the policy says
	Exceptions hcl.Blocks // as they stand; the policy language reads them
}

// libraryFields are the keys of a library block that are no variables of the policy.
func libraryFields(l *Library) fields {
	return fields{
		"enforce": oneOf(&l.Enforce, "deny", "warn"),
		"fix": func(attr *hcl.Attribute) hcl.Diagnostics {
			var fix bool
			diags := boolean(&fix)(attr)
			l.Fix = &fix
			return diags
		},
	}
}

func (c *Config) decodeLibrary(block *hcl.Block) hcl.Diagnostics {
	l := Library{Name: block.Labels[0], Range: block.LabelRanges[0], Vars: map[string]Value{}}
	own := libraryFields(&l)
	schema := attributes(own)
	schema.Blocks = []hcl.BlockHeaderSchema{{Type: "exception"}}
	all, _ := block.Body.JustAttributes() // it complains of blocks, Content does of the wrong ones alone
	vars := fields{}
	for name := range all {
		if own[name] == nil {
			vars[name] = func(attr *hcl.Attribute) (diags hcl.Diagnostics) {
				l.Vars[name], diags = valueOf(attr)
				return diags
			}
		}
	}
	schema.Attributes = append(schema.Attributes, attributes(vars).Attributes...)
	content, diags := block.Body.Content(schema)
	l.Exceptions = content.Blocks
	maps.Copy(own, vars)
	diags = append(diags, take(content.Attributes, own)...)
	c.Libraries = append(c.Libraries, l)
	return diags
}

// valueOf is a constant of any type.
func valueOf(attr *hcl.Attribute) (Value, hcl.Diagnostics) {
	v, diags := attr.Expr.Value(nil)
	return Value{v, attr.Expr.Range(), attr.NameRange}, diags
}

// policyVars reads the object as it is written, to know where each value stands.
func policyVars(into *map[string]Value) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		pairs, diags := hcl.ExprMap(attr.Expr)
		if diags.HasErrors() {
			return wrong(attr, "write it as names with values, such as { max_memory = 4096 }")
		}
		*into = map[string]Value{}
		for _, pair := range pairs {
			key, more := constant(&hcl.Attribute{Name: attr.Name, Expr: pair.Key}, cty.String, "a name, such as max_memory")
			diags = append(diags, more...)
			if more.HasErrors() {
				continue
			}
			value, more := valueOf(&hcl.Attribute{Expr: pair.Value, NameRange: pair.Key.Range()})
			diags = append(diags, more...)
			name := key.AsString()
			if first, taken := (*into)[name]; taken {
				diags = append(diags, mistake(value.Name, "Variable with two values",
					fmt.Sprintf("%q has a value already, on line %d; leave one of them.", name, first.Name.Start.Line))...)
				continue
			}
			(*into)[name] = value
		}
		return diags
	}
}
