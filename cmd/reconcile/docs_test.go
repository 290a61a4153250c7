package main

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// README.md has a heading "### VERB" for each verb, and below it each of its
// flags as `-name`. This holds both together.
func TestReadmeNamesEveryVerbAndFlag(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := flagsInReadme(string(text))
	real := map[string][]string{}
	for name, factory := range verbs(&shell{}) {
		command, err := factory()
		if err != nil {
			t.Fatal(err)
		}
		in, _ := command.(*verb).invoke(nil, true)
		real[name] = []string{}
		in.flags.VisitAll(func(f *flag.Flag) { real[name] = append(real[name], f.Name) })
	}
	if d := cmp.Diff(real, documented); d != "" {
		t.Errorf("README.md and the flags differ (- in the code, + in README.md):\n%s", d)
	}
}

// Help lists every verb once.
func TestOrderHasEveryVerb(t *testing.T) {
	t.Parallel()
	all := verbs(&shell{})
	for _, name := range order {
		if all[name] == nil {
			t.Errorf("order has %s, which is no verb", name)
		}
	}
	if len(slices.Compact(slices.Sorted(slices.Values(order)))) != len(all) {
		t.Errorf("order %v does not list the %d verbs once each", order, len(all))
	}
}

var (
	verbHeading = regexp.MustCompile("^### `?([a-z]+)`?$")
	flagName    = regexp.MustCompile("`-([a-z][a-z-]*)")
)

// flagsInReadme are the flags below each verb's heading, in alphabetical order.
func flagsInReadme(text string) map[string][]string {
	out := map[string][]string{}
	verb := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if m := verbHeading.FindStringSubmatch(line); m != nil {
			verb = m[1]
			out[verb] = []string{}
			continue
		}
		if strings.HasPrefix(line, "#") {
			verb = ""
		}
		if verb == "" {
			continue
		}
		for _, m := range flagName.FindAllStringSubmatch(line, -1) {
			if m[1] != "help" && !slices.Contains(out[verb], m[1]) {
				out[verb] = append(out[verb], m[1])
			}
		}
	}
	for _, names := range out {
		slices.Sort(names)
	}
	return out
}

func TestFlagsInReadme(t *testing.T) {
	t.Parallel()
	text := "# x\n`-no`\n### plan\n`-json`, then `-config FILE` and `nomad job run -output`, `-json`, `-help`.\n### version\n## Exit codes\n`-detailed-exitcode`\n"
	want := map[string][]string{"plan": {"config", "json"}, "version": {}}
	if d := cmp.Diff(want, flagsInReadme(text)); d != "" {
		t.Error(d)
	}
}
