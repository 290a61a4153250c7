package config

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/bmatcuk/doublestar/v4"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/gocty"
)

type taker = func(*hcl.Attribute) hcl.Diagnostics

// constant is an attribute's value if it is of that type; example says in a
// diagnostic what to write instead.
func constant(attr *hcl.Attribute, t cty.Type, example string) (cty.Value, hcl.Diagnostics) {
	v, diags := attr.Expr.Value(nil)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	if v.IsNull() || !v.IsWhollyKnown() || !fits(v, t) {
		return cty.NilVal, wrong(attr, "write it as "+example)
	}
	v, err := convert.Convert(v, t)
	if err != nil {
		return cty.NilVal, wrong(attr, "write it as "+example)
	}
	return v, nil
}

// fits is stricter than cty's conversion: no "true" for true, no null in a list.
func fits(v cty.Value, t cty.Type) bool {
	if t.IsPrimitiveType() {
		return v.Type() == t
	}
	if !v.CanIterateElements() || t.IsListType() && !v.Type().IsTupleType() {
		return false
	}
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if e.IsNull() || !e.Type().IsPrimitiveType() || t.IsListType() && e.Type() != t.ElementType() {
			return false
		}
	}
	return true
}

func wrong(attr *hcl.Attribute, detail string) hcl.Diagnostics {
	return mistake(attr.Expr.Range(), fmt.Sprintf("Wrong value for %q", attr.Name), sentence(detail))
}

func sentence(s string) string {
	if !strings.HasSuffix(s, "?") {
		s += "."
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func text(into *string) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		v, diags := constant(attr, cty.String, `a string, such as "default"`)
		if diags.HasErrors() {
			return diags
		}
		if v.AsString() == "" {
			return wrong(attr, "it may not be empty; leave the line out for the default")
		}
		*into = v.AsString()
		return nil
	}
}

func boolean(into *bool) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		v, diags := constant(attr, cty.Bool, "true or false, without quotes")
		if !diags.HasErrors() {
			*into = v.True()
		}
		return diags
	}
}

func count(into *int) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		v, diags := constant(attr, cty.Number, "a whole number from 1, without quotes")
		if diags.HasErrors() {
			return diags
		}
		var n int
		if err := gocty.FromCtyValue(v, &n); err != nil || n < 1 {
			return wrong(attr, "write a whole number from 1")
		}
		*into = n
		return nil
	}
}

// duration takes what time.ParseDuration does, not negative; positive refuses "0s" too.
func duration(into *time.Duration, positive bool) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		example := `a duration in quotes, such as "5m", "1h30m" or "250ms"`
		v, diags := constant(attr, cty.String, example)
		if diags.HasErrors() {
			return diags
		}
		d, err := time.ParseDuration(v.AsString())
		switch {
		case err != nil:
			return wrong(attr, fmt.Sprintf("%q is not a duration; write %s", v.AsString(), example))
		case d < 0:
			return wrong(attr, "it may not be negative; write "+example)
		case positive && d == 0:
			return wrong(attr, "it may not be zero; write "+example)
		}
		*into = d
		return nil
	}
}

func oneOf(into *string, allowed ...string) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		list := `one of "` + strings.Join(allowed, `", "`) + `"`
		v, diags := constant(attr, cty.String, list)
		if diags.HasErrors() {
			return diags
		}
		for _, a := range allowed {
			if v.AsString() == a {
				*into = a
				return nil
			}
		}
		return wrong(attr, fmt.Sprintf("%q is not %s%s", v.AsString(), list, didYouMean(v.AsString(), allowed)))
	}
}

func didYouMean(said string, allowed []string) string {
	for _, a := range allowed {
		if levenshtein.Distance(strings.ToLower(said), a, nil) < 3 {
			return fmt.Sprintf(". Did you mean %q?", a)
		}
	}
	return ""
}

func stringList(attr *hcl.Attribute, example string) ([]string, hcl.Diagnostics) {
	v, diags := constant(attr, cty.List(cty.String), example)
	if diags.HasErrors() {
		return nil, diags
	}
	list := make([]string, 0, v.LengthInt())
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if e.AsString() == "" {
			return nil, wrong(attr, "an element of the list is empty; write it as "+example)
		}
		list = append(list, e.AsString())
	}
	return list, nil
}

func namespaces(into *[]string) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		list, diags := stringList(attr, `a list of namespaces, such as ["default"], or ["*"] for all`)
		if !diags.HasErrors() && len(list) == 0 {
			return wrong(attr, "name at least one namespace, or leave the line out")
		}
		*into = list
		return diags
	}
}

func globs(into *[]string) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		list, diags := stringList(attr, `a list of globs, such as ["**/*.hcl"]`)
		for _, glob := range list {
			if !doublestar.ValidatePattern(glob) {
				return wrong(attr, notAGlob(glob))
			}
		}
		*into = list
		return diags
	}
}

func notAGlob(s string) string { return fmt.Sprintf("%q is not a glob: close every [ and {", s) }

func path(dir string, into *Path) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		var s string
		diags := text(&s)(attr)
		if !diags.HasErrors() {
			*into = within(dir, s)
		}
		return diags
	}
}

func pathList(dir string, into *[]Path) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		list, diags := stringList(attr, `a list of paths, such as ["policies"]`)
		*into = nil
		for _, s := range list {
			*into = append(*into, within(dir, s))
		}
		return diags
	}
}

func vars(into *map[string]string) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		example := `a map of plain values, such as { region = "eu" }; lists and objects go into a file that var_files names`
		v, diags := constant(attr, cty.Map(cty.String), example)
		if diags.HasErrors() {
			return diags
		}
		*into = map[string]string{}
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			(*into)[k.AsString()] = e.AsString()
		}
		return nil
	}
}

func varFiles(dir string, into *[]VarFile) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		list, diags := stringList(attr, `a list of variable files, such as ["prod.vars.hcl"]`)
		elements, _ := hcl.ExprList(attr.Expr)
		*into = nil
		for i, s := range list {
			at := attr.Expr.Range()
			if i < len(elements) {
				at = elements[i].Range()
			}
			*into = append(*into, VarFile{within(dir, s), at})
		}
		return diags
	}
}

// jobVars reads the object as it is written: as a value it would lose its order.
func jobVars(dir string, into *[]JobVars) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		pairs, diags := hcl.ExprMap(attr.Expr)
		if diags.HasErrors() {
			return wrong(attr, `write it as globs with lists of variable files, such as { "api-*.hcl" = ["api.vars.hcl"] }`)
		}
		*into = nil
		seen := map[string]bool{}
		for _, pair := range pairs {
			key := &hcl.Attribute{Name: attr.Name, Expr: pair.Key}
			value := &hcl.Attribute{Name: attr.Name, Expr: pair.Value}
			var jv JobVars
			found := jobGlob(&jv.Glob, seen)(key)
			found = append(found, varFiles(dir, &jv.Files)(value)...)
			diags = append(diags, found...)
			*into = append(*into, jv)
		}
		return diags
	}
}

// jobGlob takes a glob that is not among the seen ones.
func jobGlob(into *string, seen map[string]bool) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		v, diags := constant(attr, cty.String, `a glob in quotes, such as "api-*.hcl"`)
		if diags.HasErrors() {
			return diags
		}
		*into = v.AsString()
		switch {
		case *into == "":
			return wrong(attr, `a glob is empty; write "**" for all job files`)
		case !doublestar.ValidatePattern(*into):
			return wrong(attr, notAGlob(*into))
		case seen[*into]:
			return wrong(attr, fmt.Sprintf("the glob %q stands here twice; merge the two lists, the file that is to win last", *into))
		}
		seen[*into] = true
		return nil
	}
}

// address takes what the Nomad client takes: http, https or a unix socket.
func address(into *string) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		var s string
		if diags := text(&s)(attr); diags.HasErrors() {
			return diags
		}
		u, err := url.Parse(s)
		if err != nil || !(u.Scheme == "unix" || (u.Scheme == "http" || u.Scheme == "https") && u.Host != "") {
			return wrong(attr, `write a URL, such as "http://127.0.0.1:4646" or "https://nomad.example.com"`)
		}
		*into = s
		return nil
	}
}
