// Package library holds ready-made policies, embedded in the binary. Each is one
// file NAME.policy.hcl with one policy of that name, and NAME.policytest.hcl with
// its tests, two of which are the examples that `reconcile explain` shows.
package library

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed *.policy.hcl *.policytest.hcl
var files embed.FS

const (
	policySuffix = ".policy.hcl"
	testsSuffix  = ".policytest.hcl"
)

// Names are those of all policies, in alphabetical order.
func Names() []string {
	found, _ := fs.Glob(files, "*"+policySuffix) // the pattern is well-formed
	for i, name := range found {
		found[i] = strings.TrimSuffix(name, policySuffix)
	}
	return found
}

// Files has all files of the library, side by side.
func Files() fs.FS { return files }

// File is what findings and diagnostics call the policy's file.
func File(name string) string { return "library/" + name + policySuffix }

// Policy is the text of the policy's file; false where there is no such policy.
func Policy(name string) ([]byte, bool) {
	text, err := files.ReadFile(name + policySuffix)
	return text, err == nil
}

// Tests is the name in Files of the policy's tests.
func Tests(name string) string { return name + testsSuffix }
