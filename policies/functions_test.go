package policies_test

import (
	"testing"
)

func TestPathsAndGlobs(t *testing.T) {
	t.Parallel()
	for _, expr := range []string{
		`cleanpath("//etc") == "/etc"`, `cleanpath("/opt/../etc/") == "/etc"`, `cleanpath("/../..") == "/"`,
		`cleanpath("local/../../x") == "../x"`, `cleanpath("./a//b/.") == "a/b"`, `cleanpath("") == "."`,
		`glob("team/*", "team/eu/web")`, `glob("we?", "web")`, `!glob("we?", "we")`, `!glob("a", "ab")`,
		`glob("c++", "c++")`, `!glob("c++", "ccc")`, `glob("a(b", "a(b")`, `!glob("a.b", "axb")`, `glob("[ab]", "[ab]")`,
		`glob(["x", "api-?"], "api-1")`, `!glob(["x", "api-?"], "api-10")`, `!glob([], "")`, `glob("", "")`,
		`glob(convert(["a*"], list(string)), "ab")`, `glob(convert(["a*"], set(string)), "ab")`,
		`!can(glob([null], "a"))`, `!can(glob(null, "a"))`, `!can(glob({ a = { b = "c" } }, "a"))`, `!can(glob([["a"]], "a"))`, `!can(glob("a", null))`,
	} {
		s := load(t, "policy \"p\" {\nmatch {\nwhen = "+expr+"\n}\nsudo {\npreserve_env = false\n}\n}")
		if v := check(t, s, newJob("j", sudoTask("t", "-E"))); len(v.Findings) != 1 {
			t.Errorf("%s does not hold", expr)
		}
	}
}

// A function and the match block agree on every pattern.
func TestGlobIsThatOfMatch(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"api-?", "c++", "a(b", "team/*", "*", "a.b", "[ab]", "^a$", `a\\b`} {
		for _, id := range []string{"api-1", "api-10", "c++", "ccc", "a(b", "team/eu/web", "a.b", "axb", "[ab]", "a", `a\b`, "^a$"} {
			found := func(match string) int {
				s := load(t, "policy \"p\" {\nmatch {\n"+match+"\n}\nsudo {\npreserve_env = false\n}\n}")
				return len(check(t, s, newJob(id, sudoTask("t", "-E"))).Findings)
			}
			if got, want := found(`when = glob("`+pattern+`", job.id)`), found(`job = ["`+pattern+`"]`); got != want {
				t.Errorf("glob(%q, %q) finds %d, match %d", pattern, id, got, want)
			}
		}
	}
}
