package gates

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/policies"
)

// TestReadme: the reference has a table for every kind, with all of its keys, and
// its example loads.
func TestReadme(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../policies/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(data), "### Gates\n")
	text, _, _ = strings.Cut(text, "\n## ")
	if d := cmp.Diff(slices.Sorted(maps.Keys(keys)), slices.Sorted(maps.Keys(Kinds()))); d != "" {
		t.Error(d)
	}
	row := regexp.MustCompile("(?m)^\\| ((?:`\\w+`(?:, )?)+) \\|")
	for kind, want := range keys {
		_, section, ok := strings.Cut(text, "\n#### "+kind+"\n")
		if !ok {
			t.Errorf("no section about %s", kind)
		}
		section, _, _ = strings.Cut(section, "\n#### ")
		var got []string
		for _, m := range row.FindAllStringSubmatch(section, -1) {
			got = append(got, strings.Split(strings.ReplaceAll(m[1], "`", ""), ", ")...)
		}
		slices.Sort(got)
		if d := cmp.Diff(slices.Sorted(slices.Values(want)), got); d != "" {
			t.Errorf("%s (-code +README)\n%s", kind, d)
		}
	}
	_, example, _ := strings.Cut(text, "```hcl\n# gates.policy.hcl\n")
	example, _, _ = strings.Cut(example, "```")
	_, diags := policies.Load([]policies.Source{{Name: "gates.policy.hcl", Bytes: []byte(example)}}, policies.Options{Gates: Kinds()})
	if len(diags) > 0 || example == "" {
		t.Errorf("%v\n%s", diags, example)
	}
}
