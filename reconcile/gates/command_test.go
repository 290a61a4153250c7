package gates

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func TestDecodeCommandMistakes(t *testing.T) {
	t.Parallel()
	const none = `No command: Name the program and its arguments: command = ["ip", "netns", "list"]. No shell reads them.`
	checkMistakes(t, "command", map[string]string{
		``:                               "1:1 " + none,
		`command = []`:                   "1:11 " + none,
		`command = [""]`:                 "1:11 " + none,
		`command = "ip netns"`:           "1:11 Wrong type: command must be a list of strings such as [\"a\", \"b\"], not a string.",
		"command = [\"a\"]\ndir = \"b\"": `2:7 Not an absolute path: "b" must begin with a slash: write the whole path.`,
		"command = [\"a\"]\nenv = { \"A=B\" = \"c\" }":               `2:7 Not a variable: "A=B" cannot be set in an environment.`,
		"command = [\"a\"]\nenv = { A = \"c\" }\npass_env = [\"A\"]": `3:12 Set twice: "A" is in env too. Leave it out of one of them.`,
		"command = [\"a\"]\ntimeout = \"0s\"":                        `2:11 Bad duration: "0s" is not a duration such as "15s" or "1m".`,
		"command = [\"a\"]\nassert = result.code == 0":               `2:10 Unknown attribute: There is no result.code.`,
		"command = [\"a\"]\nshell = true":                            `2:1 Unsupported argument: An argument named "shell" is not expected here.`,
	})
}

// commandOf is a gate of a process with an environment.
func commandOf(t *testing.T, src string) *commandGate {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(src), "gate.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	spec, diags := Kinds("LANG=old", "LANG=C", "API_TOKEN=planted-token", "HOME=/home/me")["command"]("n", f.Body)
	if diags.HasErrors() {
		t.Fatalf("%s\n%s", src, diags)
	}
	return spec.(*commandGate)
}

func TestCommandGate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ src, want string }{
		"passes":           {`command = ["true"]`, "passed: exit code 0"},
		"fails":            {`command = ["/bin/sh", "-c", "echo out; echo err >&2; exit 3"]`, "failed: exit code 3; stderr: err; stdout: out"},
		"assert":           {"command = [\"/bin/sh\", \"-c\", \"echo a b; exit 3\"]\nassert = result.exit_code == 3 && trimspace(result.stdout) == \"a b\" && result.stderr == \"\"", "passed: exit code 3"},
		"assert fails":     {"command = [\"echo\", \"netns\"]\nassert = matches(\"^orch\", result.stdout)", "failed: exit code 0, the assert does not hold; stdout: netns"},
		"assert is absurd": {"command = [\"echo\"]\nassert = jsondecode(result.stdout).a", "failed: exit code 0, assert: Error in function call: Call to function \"jsondecode\" failed: EOF."},
		"environment":      {"command = [\"/usr/bin/env\"]\nenv = { B = \"x y\" }\npass_env = [\"LANG\", \"NOT_SET\"]\nassert = result.stdout == \"B=x y\\nLANG=C\\n\"", "passed: exit code 0"},
		"no environment":   {"command = [\"/usr/bin/env\"]\nassert = result.stdout == \"\"", "passed: exit code 0"},
		"secrets":          {"command = [\"/bin/sh\", \"-c\", \"echo hello $API_TOKEN; exit 1\"]\npass_env = [\"API_TOKEN\"]", "failed: exit code 1; stdout: hello (redacted)"},
		"folder":           {"command = [\"pwd\"]\ndir = \"/usr\"\nassert = result.stdout == \"/usr\\n\"", "passed: exit code 0"},
		"no shell":         {"command = [\"echo\", \"$HOME;\", \"|\"]\nassert = result.stdout == \"$HOME; |\\n\"", "passed: exit code 0"},
		"timeout":          {"command = [\"/bin/sh\", \"-c\", \"echo begun; sleep 600\"]\ntimeout = \"1s\"", "failed: killed after 1s; stdout: begun"},
		"signal":           {`command = ["/bin/sh", "-c", "kill -9 $$"]`, "failed: ended by a signal"},
		"not there":        {`command = ["/nonexistent/program"]`, "failed: starting /nonexistent/program: fork/exec /nonexistent/program: no such file or directory"},
		"output cap":       {"command = [\"head\", \"-c\", \"3000000\", \"/dev/zero\"]\nassert = strlen(result.stdout) == 1048576", "passed: exit code 0"},
		"no input":         {"command = [\"cat\"]\nassert = result.stdout == \"\"", "passed: exit code 0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := commandOf(t, tt.src)
			ok, detail := g.Check(t.Context(), &fake{}, Change{})
			if got := verdictOf(Result{Passed: ok, Detail: detail}); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestCommandGateLeavesNothing: what the command started ends with it, when it is
// killed and when it goes by itself.
func TestCommandGateLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{"cancelled": "wait", "by itself": "exit 0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			g := commandOf(t, `command = ["/bin/sh", "-c", "sleep 600 & echo $! > `+file+`.new; mv `+file+`.new `+file+`; `+end+`"]`)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan string, 1)
			go func() {
				_, detail := g.Check(ctx, &fake{}, Change{})
				done <- detail
			}()
			pid := pidIn(t, file)
			want := "exit code 0"
			if name == "cancelled" {
				cancel()
				want = "interrupted; until then: killed"
			}
			if detail := <-done; detail != want {
				t.Errorf("%s, want %s", detail, want)
			}
			gone(t, pid)
		})
	}
}

func pidIn(t *testing.T, file string) int {
	t.Helper()
	for range 1000 {
		if data, err := os.ReadFile(file); err == nil {
			pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the command did not start its child")
	return 0
}

// gone: an orphan's end is nobody's event. A zombie that nobody reaps has ended too.
func gone(t *testing.T, pid int) {
	t.Helper()
	for range 1000 {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if syscall.Kill(pid, 0) == syscall.ESRCH || err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
}

func TestCommandString(t *testing.T) {
	t.Parallel()
	g := commandOf(t, "command = [\"ip\", \"netns\", \"--token=planted\"]\nassert = result.exit_code == 0\ntimeout = \"5s\"")
	if got := g.String(); got != "ip netns --token=(redacted), its assert holds, within 5s" {
		t.Error(got)
	}
}
