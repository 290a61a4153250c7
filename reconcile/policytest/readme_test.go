package policytest_test

import (
	"os"
	"regexp"
	"testing"
	"testing/fstest"

	"nomad-reconcile/reconcile/policytest"
)

var namedBlock = regexp.MustCompile("(?s)```hcl\n# (images\\.policy(?:test)?\\.hcl)\n(.*?)```")

// The example of policies/README.md does what it says.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../policies/README.md")
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{}
	for _, m := range namedBlock.FindAllStringSubmatch(string(readme), -1) {
		fsys[m[1]] = &fstest.MapFile{Data: []byte(m[2])}
	}
	r, diags := policytest.Run(fsys, "images.policytest.hcl", policytest.Options{})
	if diags.HasErrors() || len(r.Tests) < 3 || r.Failed() > 0 {
		t.Errorf("%v %+v", diags, r.Tests)
	}
	for _, rule := range r.Rules {
		if !rule.Covered() {
			t.Errorf("%s is not covered", rule.ID)
		}
	}
}
