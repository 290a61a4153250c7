package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"nomad-reconcile/state/jobspec/jobspectest"
)

// The policy that one file in five of the load breaks, without and with the edits
// that mend it.
const (
	noSudoEnv      = "policy \"no-sudo-env\" {\n  sudo {\n    preserve_env = false\n  }\n}\n"
	mendingSudoEnv = "policy \"no-sudo-env\" {\n  fix = true\n  sudo {\n    preserve_env = false\n  }\n}\n"
)

// Exit codes of check.
const (
	allFine = 0
	denied  = 3
)

// spent is what one process cost.
type spent struct {
	wall, cpu time.Duration
	peak      int64 // resident memory in bytes
}

// spend runs a program to its end, its output thrown away.
func spend(b *testing.B, want int, program string, args ...string) spent {
	b.Helper()
	cmd := exec.Command(program, args...)
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		b.Fatal(err)
	}
	state := cmd.ProcessState
	if state.ExitCode() != want {
		b.Fatalf("%s exits with %d, want %d", cmd, state.ExitCode(), want)
	}
	peak := state.SysUsage().(*syscall.Rusage).Maxrss
	if runtime.GOOS != "darwin" {
		peak *= 1024
	}
	return spent{wall, state.UserTime() + state.SystemTime(), peak}
}

// usual is the median of each cost by itself.
func usual(runs []spent) spent {
	return spent{
		wall: median(runs, func(s spent) time.Duration { return s.wall }),
		cpu:  median(runs, func(s spent) time.Duration { return s.cpu }),
		peak: median(runs, func(s spent) int64 { return s.peak }),
	}
}

func median[T time.Duration | int64](runs []spent, of func(spent) T) T {
	var all []T
	for _, s := range runs {
		all = append(all, of(s))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func (s spent) String() string {
	return fmt.Sprintf("%.2f s of wall, %.2f s of CPU, peak %d MB", s.wall.Seconds(), s.cpu.Seconds(), s.peak/1e6)
}

// leastPeak: Linux counts to a process what its parent held when it was started,
// so that no peak below this benchmark's own can be seen.
func leastPeak() string {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	if line = strings.TrimSpace(line); line == "" {
		return "unknown"
	}
	return line
}

// buildReconcile makes the program as a user has it.
func buildReconcile(b *testing.B) string {
	b.Helper()
	program := filepath.Join(b.TempDir(), "reconcile")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

func jobFiles(b *testing.B, n int) (dir string) {
	b.Helper()
	dir = b.TempDir()
	if err := jobspectest.Write(dir, n); err != nil {
		b.Fatal(err)
	}
	return dir
}

func writeFile(b *testing.B, name, text string) (path string) {
	b.Helper()
	path = filepath.Join(b.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkCheckFolder is `reconcile check` as a process over 1,000 and 10,000
// files in turns: the time of a file should not depend on how many others there are.
func BenchmarkCheckFolder(b *testing.B) {
	program, few, many := buildReconcile(b), jobFiles(b, 1000), jobFiles(b, 10000)
	for _, c := range []struct{ name, policy string }{{"policy=deny", noSudoEnv}, {"policy=fix", mendingSudoEnv}} {
		policy := writeFile(b, "sudo.policy.hcl", c.policy)
		b.Run(c.name, func(b *testing.B) {
			var ofFew, ofMany []spent
			for b.Loop() {
				ofFew = append(ofFew, spend(b, denied, program, "check", "-policy", policy, few))
				ofMany = append(ofMany, spend(b, denied, program, "check", "-policy", policy, many))
			}
			small, large := usual(ofFew), usual(ofMany)
			wall, cpu := large.wall.Seconds()/small.wall.Seconds()/10, large.cpu.Seconds()/small.cpu.Seconds()/10
			b.ReportMetric(0, "ns/op") // of both together: says nothing
			b.ReportMetric(float64(large.peak)/1e6, "peak-MB")
			b.ReportMetric(cpu, "x-file-cpu")
			b.Logf("1,000 files:  %s\n10,000 files: %s\na file among 10,000 takes %.2fx the CPU of one among 1,000, and %.2fx the wall; medians of %d runs; no peak below %s can be seen",
				small, large, cpu, wall, len(ofMany), leastPeak())
		})
	}
}

// startsPerLap: a start is so short that one says little.
const startsPerLap = 20

// BenchmarkCheckOneFile is the start of the program: `reconcile check` of one file
// in turns with `reconcile version`, which does nothing at all.
func BenchmarkCheckOneFile(b *testing.B) {
	program, policy := buildReconcile(b), writeFile(b, "sudo.policy.hcl", noSudoEnv)
	files := jobspectest.Generate(5)
	fine := files[slices.IndexFunc(files, func(f jobspectest.File) bool { return !f.Sudo })]
	path := writeFile(b, fine.Name, string(fine.Bytes))
	var checks, versions []spent
	for b.Loop() {
		for range startsPerLap {
			versions = append(versions, spend(b, allFine, program, "version"))
			checks = append(checks, spend(b, allFine, program, "check", "-policy", policy, path))
		}
	}
	check, version := usual(checks), usual(versions)
	ratio := check.wall.Seconds() / version.wall.Seconds()
	b.ReportMetric(0, "ns/op") // of a lap: says nothing
	b.ReportMetric(ratio, "x-version-wall")
	b.Logf("check of one file: %.2fx of version\ncheck:   %v of wall, %v of CPU\nversion: %v of wall, %v of CPU\nmedians of %d runs each",
		ratio, check.wall, check.cpu, version.wall, version.cpu, len(checks))
}
