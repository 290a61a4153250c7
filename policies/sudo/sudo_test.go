package sudo_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/policies/sudo"
)

// want is what is found: "2" removes element 2, "0:-n" makes element 0 "-n", "1!" is
// a demand without an edit, "1?" cannot be told.
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
	{"opaque word", "${meta.command} -E", []string{"0?"}},
	{"opaque word after options", "-n ${meta.flags} true", []string{"1?"}},
	{"opaque folder", "${NOMAD_TASK_DIR}/run -E", nil},
	{"opaque end of a word", "run${meta.suffix} -E", nil},
	{"opaque in a long option", "--${meta.flag} -E true", []string{"0?"}},
	{"opaque after an end", "-- ${meta.command} -E", []string{"1?"}},
	{"opaque assignment", "A=${meta.a} -E true", []string{"1"}},
	{"opaque value", "-u ${meta.user} -E true", []string{"2"}},
	{"opaque bundle", "-${meta.FLAGE} true", []string{"0?"}},
	{"opaque end of a bundle", "-E${meta.flags} true", []string{"0!", "0?"}},
	{"opaque list", "--preserve-env=${meta.vars} true", []string{"0"}},
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range sudo.InArgs(line(c.line)) {
				got = append(got, show(f))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("sudo %s (-want +got):\n%s", c.line, diff)
			}
		})
	}
}

// line is a command line of sudo's.
func line(args string) []string { return append([]string{"sudo"}, strings.Fields(args)...) }

func show(f sudo.Found) string {
	s := strconv.Itoa(f.Index - 1)
	switch {
	case f.Doubt != "":
		return s + "?"
	case f.Whole:
		return s
	case f.Mend == nil:
		return s + "!"
	}
	return s + ":" + f.Arg[:f.Start] + *f.Mend + f.Arg[f.End:]
}

// mend makes the edits, last first so that indices keep their meaning.
func mend(args []string, found []sudo.Found) []string {
	out := slices.Clone(args)
	for _, f := range slices.Backward(found) {
		switch {
		case f.Whole:
			out = slices.Delete(out, f.Index, f.Index+1)
		case f.Mend != nil:
			out[f.Index] = out[f.Index][:f.Start] + *f.Mend + out[f.Index][f.End:]
		}
	}
	return out
}

func demands(found []sudo.Found) []sudo.Found {
	return slices.DeleteFunc(slices.Clone(found), func(f sudo.Found) bool { return f.Doubt != "" })
}

func FuzzOptions(f *testing.F) {
	for _, c := range cases {
		f.Add(c.line)
	}
	f.Fuzz(func(t *testing.T, words string) {
		args := append([]string{"sudo"}, strings.Split(words, " ")...)
		found := sudo.InArgs(args)
		inside(t, args, found)
		mended := mend(args, found)
		for _, again := range sudo.InArgs(mended) {
			if again.Fixable() {
				t.Fatalf("%q became %q, which still asks: %+v", args, mended, again)
			}
		}
	})
}

// inside: findings come in the order of the source, edits lie in their strings and
// not in each other.
func inside(t *testing.T, args []string, found []sudo.Found) {
	t.Helper()
	last := sudo.Found{}
	for _, f := range found {
		if f.Index < last.Index || f.Index >= len(args) || f.Start > f.End || f.Start < 0 || f.End > len(args[f.Index]) {
			t.Fatalf("%+v in %q", f, args)
		}
		if f.Mend == nil {
			continue
		}
		if last.Mend != nil && last.Index == f.Index && f.Start < last.End {
			t.Fatalf("%+v and %+v overlap in %q", last, f, args)
		}
		last = f
	}
}

// A heredoc element ends with a line end, which is no option letter.
func TestOptionWithALineEnd(t *testing.T) {
	t.Parallel()
	found := sudo.InArgs([]string{"sudo", "-n", "-E\n", "true"})
	if len(found) != 1 || found[0].Index != 2 || !found[0].Whole {
		t.Errorf("%+v", found)
	}
}

// asks: what follows the word sudo asks for the environment.
func asks(args []string) bool {
	return len(demands(sudo.InArgs(slices.Insert(slices.Clone(args), 0, "sudo")))) > 0
}
