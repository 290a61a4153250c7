package main_test

import (
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// sudoRego says for conftest what noSudoEnv says, as far as one can say it there:
// it sees `${local.x}` as text, not what the local holds.
const sudoRego = `package main

import rego.v1

deny contains msg if {
	some id, jobs in input.job
	some group_name, groups in jobs[_].group
	some task_name, tasks in groups[_].task
	some config in tasks[_].config
	config.command == "sudo"
	some arg in config.args
	regex.match(` + "`^(-[A-Za-z]*E|--preserve-env(=.*)?)$`" + `, arg)
	msg := sprintf("%s/%s/%s: sudo %s", [id, group_name, task_name, arg])
}
`

// conftestFails is the exit code of conftest when a policy fails.
const conftestFails = 1

// BenchmarkPeers compares `reconcile check` with `conftest test` on the same 10,000
// files, the programs taking turns. `make bench-peers` installs conftest for it.
func BenchmarkPeers(b *testing.B) {
	conftest := os.Getenv("BENCH_CONFTEST")
	if conftest == "" {
		b.Skip("BENCH_CONFTEST names no conftest; `make bench-peers` installs one")
	}
	ours, files := buildReconcile(b), jobFiles(b, 10000)
	rego := filepath.Dir(writeFile(b, "sudo.rego", sudoRego))
	deny, fix := writeFile(b, "sudo.policy.hcl", noSudoEnv), writeFile(b, "sudo.policy.hcl", mendingSudoEnv)
	peers := []*peer{
		{name: "conftest test", exit: conftestFails, command: []string{conftest, "test", "--parser", "hcl2", "-p", rego, files}},
		{name: "reconcile check", exit: denied, command: []string{ours, "check", "-policy", deny, files}},
		{name: "reconcile check, fix = true", exit: denied, command: []string{ours, "check", "-policy", fix, files}},
	}
	for b.Loop() {
		for _, p := range peers {
			p.runs = append(p.runs, spend(b, p.exit, p.command[0], p.command[1:]...))
		}
	}
	faster := usual(peers[0].runs).wall.Seconds() / usual(peers[1].runs).wall.Seconds()
	b.ReportMetric(0, "ns/op") // of all together: says nothing
	b.ReportMetric(faster, "x-faster")
	b.Logf("%s, 10,000 files, medians of %d runs in turns; no peak below %s can be seen\n%s%s",
		versionOf(conftest), len(peers[0].runs), leastPeak(), table(peers), compareFindings(b, files, conftest, rego, ours, deny))
}

// peer is a program that does the work.
type peer struct {
	name    string
	exit    int
	command []string
	runs    []spent
}

// table has a row for each peer; the last columns say how many times more the
// first one needs.
func table(peers []*peer) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\twall s\tbest\tCPU s\tpeak MB\tfaster\tless CPU\tless memory\t")
	first := usual(peers[0].runs)
	for _, p := range peers {
		s := usual(p.runs)
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%d\t%.1fx\t%.1fx\t%.1fx\t\n", p.name, s.wall.Seconds(), best(p.runs).Seconds(), s.cpu.Seconds(), s.peak/1e6,
			first.wall.Seconds()/s.wall.Seconds(), first.cpu.Seconds()/s.cpu.Seconds(), float64(first.peak)/float64(s.peak))
	}
	w.Flush()
	return text.String()
}

// best is the wall of the run that was disturbed least.
func best(runs []spent) time.Duration {
	return slices.MinFunc(runs, func(a, b spent) int { return cmp.Compare(a.wall, b.wall) }).wall
}

func versionOf(program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return filepath.Base(program)
	}
	return info.Main.Path + " " + info.Main.Version
}

// compareFindings says in which files each finds something. What conftest finds
// must be found by us; what it does not must be out of its sight.
func compareFindings(b *testing.B, files, conftest, rego, ours, policy string) string {
	b.Helper()
	theirs := conftestFindings(b, conftest, "test", "--parser", "hcl2", "-o", "json", "-p", rego, files)
	found := ourFindings(b, ours, "check", "-format", "json", "-policy", policy, files)
	for path := range theirs {
		if !found[path] {
			b.Errorf("conftest finds something in %s, we do not", path)
		}
	}
	unseen := 0
	for path := range found {
		if theirs[path] {
			continue
		}
		unseen++
		if src, err := os.ReadFile(path); err != nil || !argsAreComputed(string(src)) {
			b.Errorf("we find something in %s, conftest does not, and the arguments are plain (%v)", path, err)
		}
	}
	return fmt.Sprintf("conftest finds %d files, reconcile %d: the same and %d more, whose arguments are a local or a function, which conftest does not evaluate",
		len(theirs), len(found), unseen)
}

// argsAreComputed: sudo's arguments are not a list in their place.
func argsAreComputed(src string) bool {
	_, rest, _ := strings.Cut(src, `command = "sudo"`)
	_, args, _ := strings.Cut(rest, "= ")
	return !strings.HasPrefix(args, "[")
}

func conftestFindings(b *testing.B, program string, args ...string) map[string]bool {
	b.Helper()
	var results []struct {
		Filename string
		Failures []struct{ Msg string }
	}
	outputJSON(b, &results, program, args...)
	found := map[string]bool{}
	for _, r := range results {
		if len(r.Failures) > 0 {
			found[r.Filename] = true
		}
	}
	if len(results) != 10000 {
		b.Errorf("conftest tested %d files", len(results))
	}
	return found
}

func ourFindings(b *testing.B, program string, args ...string) map[string]bool {
	b.Helper()
	var result struct {
		Jobs []struct {
			Findings []struct{ File string }
		}
	}
	outputJSON(b, &result, program, args...)
	found := map[string]bool{}
	for _, j := range result.Jobs {
		for _, f := range j.Findings {
			found[f.File] = true
		}
	}
	if len(result.Jobs) != 10000 {
		b.Errorf("we checked %d jobs", len(result.Jobs))
	}
	return found
}

// outputJSON runs a program that finds something, and so does not exit with 0.
func outputJSON(b *testing.B, into any, program string, args ...string) {
	b.Helper()
	out, err := exec.Command(program, args...).Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		b.Fatal(err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		b.Fatalf("%s: %v", program, err)
	}
}
