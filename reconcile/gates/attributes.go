package gates

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/policies"
)

// keys are the attributes that each kind of gate knows; policies/README.md lists
// them all.
var keys = map[string][]string{
	"command":  {"command", "dir", "timeout", "env", "pass_env", "assert"},
	"dispatch": {"meta", "payload", "within"},
	"http": {
		"url", "port", "group", "pass", "scheme", "path", "method", "headers", "body", "assert", "within", "interval", "timeout",
		"follow_redirects", "ca_file", "cert_file", "key_file", "server_name", "insecure_skip_verify",
	},
	"job":     {"job", "namespace", "status", "healthy", "within", "interval", "timeout"},
	"logs":    {"task", "forbid", "require", "window"},
	"service": {"service", "instances", "checks", "within", "interval", "timeout"},
	"sudoers": {"user", "command", "runas", "nopasswd", "setenv", "env_reset", "optional"},
	"tcp":     {"address", "port", "group", "pass", "within", "interval", "timeout"},
}

// attributes reads a gate's block and gathers every mistake in it. What it gives
// after a mistake is a zero value that nobody will use.
type attributes struct {
	given hcl.Attributes
	block hcl.Range
	diags hcl.Diagnostics
}

func attributesOf(body hcl.Body, names []string) *attributes {
	schema := &hcl.BodySchema{}
	for _, name := range names {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	content, diags := body.Content(schema)
	return &attributes{given: content.Attributes, block: body.MissingItemRange(), diags: diags}
}

func (a *attributes) has(name string) bool { return a.given[name] != nil }

// at is where an attribute's value stands, or the block that lacks it.
func (a *attributes) at(name string) hcl.Range {
	if given := a.given[name]; given != nil {
		return given.Expr.Range()
	}
	return a.block
}

func (a *attributes) fail(name, summary, detail string, args ...any) {
	a.diags = append(a.diags, mistake(a.at(name), summary, fmt.Sprintf(detail, args...)))
}

// together reports each of the names that is given where the attribute that gives
// it a meaning is not.
func (a *attributes) together(with string, names ...string) {
	for _, name := range names {
		if a.has(name) && !a.has(with) {
			a.fail(name, "Meaningless here", "%s goes with %s, which is not given.", name, with)
		}
	}
}

func (a *attributes) value(name string, want cty.Type, need string) (cty.Value, bool) {
	if !a.has(name) {
		return cty.NilVal, false
	}
	v, diags := policies.Constant(a.given[name], want, need)
	a.diags = append(a.diags, diags...)
	return v, v != cty.NilVal && !diags.HasErrors()
}

// text is a string that is not empty where it is given.
func (a *attributes) text(name, otherwise string) string {
	v, ok := a.value(name, cty.String, "a string")
	if !ok {
		return otherwise
	}
	if v.AsString() == "" {
		a.fail(name, "Empty string", "%s is empty. Leave it out, or say something.", name)
	}
	return v.AsString()
}

func (a *attributes) texts(name string) []string {
	v, ok := a.value(name, cty.List(cty.String), `a list of strings such as ["a", "b"]`)
	if !ok {
		return nil
	}
	var out []string
	for _, e := range v.AsValueSlice() {
		if e.IsNull() {
			a.fail(name, "Null in a list", "Every element of %s must be a string.", name)
			return nil
		}
		out = append(out, e.AsString())
	}
	return out
}

func (a *attributes) textMap(name string) map[string]string {
	v, ok := a.value(name, cty.Map(cty.String), `a map of strings such as { A = "b" }`)
	if !ok {
		return nil
	}
	out := map[string]string{}
	for key, e := range v.AsValueMap() {
		if e.IsNull() {
			a.fail(name, "Null in a map", "%s[%q] must be a string.", name, key)
			return nil
		}
		out[key] = e.AsString()
	}
	return out
}

// flag is nil where it is not given.
func (a *attributes) flag(name string) *bool {
	v, ok := a.value(name, cty.Bool, "true or false")
	if !ok {
		return nil
	}
	return new(v.True())
}

func (a *attributes) duration(name string, otherwise time.Duration) time.Duration {
	v, ok := a.value(name, cty.String, `a string such as "15s"`)
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(v.AsString())
	if err != nil || d <= 0 {
		a.fail(name, "Bad duration", "%q is not a duration such as \"15s\" or \"1m\".", v.AsString())
	}
	return d
}

// count is a whole number above zero; 0 where it is not given.
func (a *attributes) count(name string) int {
	v, ok := a.value(name, cty.Number, "a number")
	if !ok {
		return 0
	}
	n, acc := v.AsBigFloat().Int64()
	if acc != 0 || n < 1 {
		a.fail(name, "Bad number", "%s must be a whole number above zero.", name)
	}
	return int(n)
}

// oneOf is one of a few words; the first of them where it is not given.
func (a *attributes) oneOf(name string, words ...string) string {
	v := a.text(name, words[0])
	if a.has(name) && v != "" && !slices.Contains(words, v) {
		a.fail(name, "Unknown value", "%s is one of %s, not %q.", name, strings.Join(words, ", "), v)
	}
	return v
}

// file is an absolute path: gates also run in an agent, whose working directory is
// nobody's business.
func (a *attributes) file(name string) string {
	path := a.text(name, "")
	if path != "" && !filepath.IsAbs(path) {
		a.fail(name, "Not an absolute path", "%q must begin with a slash: write the whole path.", path)
	}
	return path
}

// assertion is nil where it is not given.
func (a *attributes) assertion(name string, sees map[string][]string) *policies.Assertion {
	if !a.has(name) {
		return nil
	}
	out, diags := policies.NewAssertion(a.given[name], sees)
	a.diags = append(a.diags, diags...)
	return out
}

// asserted judges what a gate saw by its assert, or without one by what is plain, and
// adds to the words for it why not.
func asserted(a *policies.Assertion, plain bool, saw, name string, value func() cty.Value) (bool, string) {
	if a == nil {
		return plain, saw
	}
	ok, err := a.Holds(map[string]cty.Value{name: value()})
	switch {
	case err != nil:
		return false, saw + fmt.Sprintf(", assert: %v", err)
	case !ok:
		return false, saw + ", the assert does not hold"
	}
	return true, saw
}
