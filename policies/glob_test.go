package policies

import "testing"

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a", "", false}, {"", "", true},
		{"*", "", true}, {"*", "team/web", true}, {"team/*", "team/eu/web", true},
		{"orchestrator-*", "orchestrator", false}, {"*-web", "eu-web", true}, {"*-web", "eu-web-2", false},
		{"a*b*c", "aXbYbZc", true}, {"a*b*c", "aXc", false}, {"**", "x/y", true},
		{"we?", "web", true}, {"we?", "we", false}, {"?*", "", false},
		{"a.b", "axb", false}, {"[ab]", "a", false}, {"[ab]", "[ab]", true},
		{"*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	} {
		if got := globMatch(c.pattern, c.s); got != c.want {
			t.Errorf("globMatch(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}
