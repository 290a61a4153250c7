package main

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"nomad-reconcile/config"
	"nomad-reconcile/policies"
	"nomad-reconcile/policies/library"
)

// libraryPrefix before a name stands for a policy of the library where -policy
// takes a file.
const libraryPrefix = "library:"

// fromLibrary are the policies that library blocks ask for. What is asked for on
// the command line has no place to show, and is an error of its own.
func fromLibrary(asked []config.Library) ([]policies.Source, hcl.Diagnostics) {
	var sources []policies.Source
	var diags hcl.Diagnostics
	for _, l := range asked {
		text, ok := library.Policy(l.Name)
		if !ok {
			d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Unknown policy of the library", Detail: unknownPolicy(l.Name)}
			if l.Range.Filename != "" {
				d.Subject = l.Range.Ptr()
			}
			diags = append(diags, d)
			continue
		}
		sources = append(sources, policies.Source{
			Name: library.File(l.Name), Bytes: text, Vars: givens(l.Vars),
			Enforce: policies.Enforce(l.Enforce), Fix: l.Fix, Exceptions: l.Exceptions,
		})
	}
	return sources, diags
}

func unknownPolicy(name string) string {
	names := library.Names()
	return fmt.Sprintf("The library has no policy %q. Did you mean %q? It has %s.", name, nearest(name, names), strings.Join(names, ", "))
}

func givens(vars map[string]config.Value) map[string]policies.Given {
	out := map[string]policies.Given{}
	for name, v := range vars {
		out[name] = policies.Given{Value: v.Value, Range: v.Range, Name: v.Name}
	}
	return out
}
