package sudo_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/policies/sudo"
)

// want is one occurrence: "2" removes element 2, "0:-n" makes element 0 "-n".
var cases = []struct {
	name, line string
	want       []string
}{
	{"the seed", "-E /scripts/start.sh", []string{"0"}},
	{"none", "-n true", nil},
	{"no arguments", "", nil},
	{"the command's own", "ls -E", nil},
	{"the command's own, long", "env --preserve-env", nil},
	{"both", "-E ls -E", []string{"0"}},
	{"twice", "-E -n -E true", []string{"0", "2"}},
	{"twice in a bundle", "-EE true", []string{"0"}},
	{"bundle, last", "-nE true", []string{"0:-n"}},
	{"bundle, first", "-En true", []string{"0:-n"}},
	{"bundle, with a value apart", "-nEu root true", []string{"0:-nu"}},
	{"bundle, with a value joined", "-Euroot true", []string{"0:-uroot"}},
	{"bundle, twice", "-nES -E true", []string{"0:-nS", "1"}},
	{"user E", "-uE true", nil},
	{"user -E", "-u -E true", nil},
	{"prompt -E", "-p -E true", nil},
	{"every value option eats", "-C -E -D -E -R -E -T -E -U -E -a -E -c -E -g -E -r -E -t -E true", nil},
	{"after a value", "-u root -E true", []string{"2"}},
	{"long", "--preserve-env true", []string{"0"}},
	{"long with a list", "--preserve-env=KEPT,B true", []string{"0"}},
	{"long with an empty list", "--preserve-env= true", []string{"0"}},
	{"long, its list only joined", "--preserve-env A=1 -E true", []string{"0", "2"}},
	{"prefix", "--preserve-e true", []string{"0"}},
	{"prefix with a list", "--preserve-en=KEPT true", []string{"0"}},
	{"ambiguous prefix", "--preserve- true", nil},
	{"ambiguous short prefix", "--pre true", nil},
	{"other prefix", "--preserve-g -E true", []string{"1"}},
	{"long value apart", "--user -E true", nil},
	{"long value joined", "--user=root -E true", []string{"1"}},
	{"long value by prefix", "--us -E true", nil},
	{"long without a value", "--login -E true", []string{"1"}},
	{"end of options", "-- -E true", nil},
	{"end of options after one", "-E -- -E true", []string{"0"}},
	{"-- as a value", "-p -- -E true", []string{"2"}},
	{"-- as a value ends assignments", "-p -- A=1 -E true", nil},
	{"assignments between options", "-n A=1 -E B=2 true", []string{"2"}},
	{"a path is no assignment", "/a=b -E", nil},
	{"nor is a bare value", "=b -E", nil},
	{"host apart", "-h web1 -E true", []string{"2"}},
	{"host joined", "-hE true", nil},
	{"help", "-h -E true", nil},
	{"help before an assignment", "-h A=1 -E true", nil},
	{"bundle with host", "-Eh web1 -E true", []string{"0:-h", "2"}},
	{"a dash is a command", "- -E", nil},
	{"unknown option", "-Z -E true", []string{"1"}},
	{"unknown long option", "--zap -E true", []string{"1"}},
	{"a bundle that sudo refuses", "-E- true", nil},
	{"opaque word", "${meta.command} -E", nil},
	{"opaque value", "-u ${meta.user} -E true", []string{"2"}},
	{"opaque bundle", "-${meta.FLAGE} true", nil},
	{"opaque end of a bundle", "-E${meta.flags} true", []string{"0:-${meta.flags}"}},
	{"opaque list", "--preserve-env=${meta.vars} true", []string{"0"}},
}

func TestPreserveEnv(t *testing.T) {
	t.Parallel()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(c.line)
			var got []string
			for _, o := range sudo.PreserveEnv(args) {
				if o.Arg != args[o.Index] {
					t.Errorf("Arg is %q, element %d is %q", o.Arg, o.Index, args[o.Index])
				}
				got = append(got, show(o))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("sudo %s (-want +got):\n%s", c.line, diff)
			}
		})
	}
}

func show(o sudo.Occurrence) string {
	s := string(rune('0' + o.Index))
	if o.Replacement != nil {
		s += ":" + *o.Replacement
	}
	return s
}

// without makes the edits, last first so that indices keep their meaning.
func without(args []string, found []sudo.Occurrence) []string {
	out := slices.Clone(args)
	for _, o := range slices.Backward(found) {
		if o.Replacement != nil {
			out[o.Index] = *o.Replacement
		} else {
			out = slices.Delete(out, o.Index, o.Index+1)
		}
	}
	return out
}

func FuzzPreserveEnv(f *testing.F) {
	for _, c := range cases {
		f.Add(c.line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, " ")
		found := sudo.PreserveEnv(args)
		last := -1
		for _, o := range found {
			if o.Index <= last || o.Index >= len(args) {
				t.Fatalf("index %d after %d in %q", o.Index, last, args)
			}
			last = o.Index
		}
		mended := without(args, found)
		if again := sudo.PreserveEnv(mended); len(again) > 0 {
			t.Fatalf("%q became %q, which still asks: %+v", args, mended, again)
		}
	})
}

// A heredoc element ends with a line end, which is no option letter.
func TestPreserveEnvWithALineEnd(t *testing.T) {
	t.Parallel()
	found := sudo.PreserveEnv([]string{"-n", "-E\n", "true"})
	if len(found) != 1 || found[0].Index != 1 || found[0].Replacement != nil {
		t.Errorf("%+v", found)
	}
}
