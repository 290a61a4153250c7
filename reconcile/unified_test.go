package reconcile

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// Every hunk stands in the new text where its header says: git looks there, and
// finds a twin of the right lines if the number is wrong.
func TestUnifiedNumbersHunks(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 7))
	for range 300 {
		var before, after []string
		for i := range 60 + r.IntN(60) {
			line := fmt.Sprintf("cpu = %d\n", i%7)
			before = append(before, line)
			switch r.IntN(12) {
			case 0: // removed
			case 1:
				after = append(after, line, "added\n")
			case 2:
				after = append(after, "changed\n")
			default:
				after = append(after, line)
			}
		}
		diff := unified("x", []byte(strings.Join(before, "")), []byte(strings.Join(after, "")))
		follow(t, diff, before, after)
	}
}

func follow(t *testing.T, diff string, before, after []string) {
	t.Helper()
	from, to := 0, 0
	for _, line := range strings.SplitAfter(diff, "\n") {
		switch {
		case line == "", strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"):
		case strings.HasPrefix(line, "@@"):
			m := hunkHeader.FindStringSubmatch(strings.TrimSpace(line))
			from, _ = strconv.Atoi(m[1])
			to, _ = strconv.Atoi(m[3])
		case line[0] == '-':
			same(t, diff, before, &from, line[1:])
		case line[0] == '+':
			same(t, diff, after, &to, line[1:])
		default:
			same(t, diff, before, &from, line[1:])
			same(t, diff, after, &to, line[1:])
		}
	}
}

func same(t *testing.T, diff string, text []string, at *int, want string) {
	t.Helper()
	if *at < 1 || *at > len(text) || text[*at-1] != want {
		t.Fatalf("line %d is not %q in\n%s", *at, want, diff)
	}
	*at++
}
