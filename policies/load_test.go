package policies_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"nomad-reconcile/config"
	"nomad-reconcile/policies"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/jobspec/jobspectest"
)

// mistakes are typical ones, each with the whole of what is said about it.
var mistakes = []struct {
	name, src string
	want      []string
}{
	{
		"unknown block",
		`polcy "p" {
}`,
		[]string{
			`p.hcl:1,1-6: Unsupported block type; Blocks of type "polcy" are not expected here. Did you mean "policy"?`,
		},
	},
	{
		"a rule without an assert",
		`policy "p" {
  rule "r" {
  }
}`,
		[]string{
			`p.hcl:2,3-11: Nothing to hold; A rule needs an assert: an expression that is true of what is right.`,
		},
	},
	{
		"unknown attribute",
		`policy "p" {
  enfroce = "warn"
  sudo {
    preserve_env = false
  }
}`,
		[]string{
			`p.hcl:2,3-10: Unsupported argument; An argument named "enfroce" is not expected here. Did you mean "enforce"?`,
		},
	},
	{
		"unknown value",
		`policy "p" {
  enforce = "wran"
  sudo {
    preserve_env = false
  }
}`,
		[]string{
			`p.hcl:2,13-19: Unknown value; enforce is "deny" or "warn", not "wran". Did you mean "warn"?`,
		},
	},
	{
		"wrong type",
		`policy "p" {
  fix = "yes"
  description = [1]
  sudo {
    preserve_env = false
  }
}`,
		[]string{
			`p.hcl:2,9-14: Wrong type; fix must be true or false, not a string.`,
			`p.hcl:3,17-20: Wrong type; description must be a string, not a list.`,
		},
	},
	{
		"null",
		`policy "p" {
  fix = null
  sudo {
    preserve_env = false
  }
}`,
		[]string{
			`p.hcl:2,9-13: Wrong type; fix must be true or false, not null.`,
		},
	},
	{
		"no label",
		`policy {
}`,
		[]string{
			`p.hcl:1,8-9: Missing name for policy; All policy blocks must have 1 labels (name).`,
		},
	},
	{
		"empty name",
		`policy "" {
  sudo {
    preserve_env = false
  }
}`,
		[]string{
			`p.hcl:1,8-10: Missing name; A policy needs a name: findings and messages refer to it.`,
		},
	},
	{
		"two of one name",
		`policy "p" {
  env {
  }
}
policy "p" {
  env {
  }
}
rollout "p" {
}
rollout "p" {
}`,
		[]string{
			`p.hcl:1,1-11: warning: Policy demands nothing; Give it a rule, a sudo or an env block, or remove it.`,
			`p.hcl:5,8-11: Duplicate policy; There is a policy "p" at p.hcl:1 already. Rename one of them.`,
			`p.hcl:11,9-12: Duplicate rollout; There is a rollout "p" at p.hcl:9 already. Rename one of them.`,
		},
	},
	{
		"demands nothing",
		`policy "p" {
}`,
		[]string{
			`p.hcl:1,1-11: warning: Policy demands nothing; Give it a rule, a sudo or an env block, or remove it.`,
		},
	},
	{
		"two blocks",
		`policy "p" {
  env {
  }
  env {
  }
}`,
		[]string{
			`p.hcl:4,3-6: Duplicate env block; There may be one env block here; the first is on line 2. Put both into one, or write a second policy.`,
		},
	},
	{
		"sudo says nothing",
		`policy "p" {
  sudo {
  }
}`,
		[]string{
			`p.hcl:2,3-7: Nothing to hold; A sudo block needs preserve_env = false.`,
		},
	},
	{
		"sudo allows",
		`policy "p" {
  sudo {
    preserve_env = true
  }
}`,
		[]string{
			`p.hcl:3,20-24: Nothing to hold; preserve_env can only be false, which forbids sudo to preserve the environment. To allow it, leave the sudo block out.`,
		},
	},
	{
		"match",
		`policy "p" {
  match {
    jobs = ["a"]
    task = "a"
    driver = []
    type = ["servce"]
    lifecycle = [""]
    meta = { a = null }
    when = jbo.id == upcase("a")
  }
  env {
  }
}`,
		[]string{
			`p.hcl:3,5-9: Unsupported argument; An argument named "jobs" is not expected here. Did you mean "job"?`,
			`p.hcl:4,12-15: Wrong type; task must be a list of strings such as ["a", "b"], not a string.`,
			`p.hcl:5,14-16: Empty list; driver with nothing in it matches nothing. Leave it out, or name something.`,
			`p.hcl:6,12-22: Unknown value; type is "service" or "batch" or "system" or "sysbatch", not "servce". Did you mean "service"?`,
			`p.hcl:7,17-21: Empty string in a list; Every element of lifecycle must be a string that is not empty.`,
			`p.hcl:8,12-24: Wrong type; meta must be a map of strings; "a" is null.`,
			`p.hcl:9,12-18: Unknown variable; Expressions here see job, not "jbo". Did you mean "job"?`,
			`p.hcl:9,22-28: Unknown function; Policies have no function "upcase".`,
		},
	},
	{
		"a filter that a constant must be",
		`policy "p" {
  match {
    job = [job.id]
  }
  env {
  }
}`,
		[]string{
			`p.hcl:3,12-18: No variables here; The value must be a constant; "job" is known only when a job is checked.`,
		},
	},
	{
		"functions inside can and try",
		`policy "p" {
  match {
    when = can(nope(1)) || try(matchs("a", "b"), file("x"), nod, false)
  }
  env {
  }
}`,
		[]string{
			`p.hcl:3,16-20: Unknown function; Policies have no function "nope".`,
			`p.hcl:3,32-38: Unknown function; Policies have no function "matchs". Did you mean "matches"?`,
			`p.hcl:3,50-54: Unknown function; Policies have no function "file". They have those of job files without the ones that look at files.`,
			`p.hcl:3,61-64: Unknown variable; Expressions here see job, not "nod". Did you mean "job"?`,
		},
	},
	{
		"runtime interpolation",
		`policy "p" {
  env {
    values = { NODE = "${node.unique.name}" }
  }
}`,
		[]string{
			`p.hcl:3,26-42: Unknown variable; Expressions here see job, group, task, live, not "node". For one of Nomad's runtime interpolations write $${...}.`,
		},
	},
	{
		"env",
		`policy "p" {
  env {
    block = "requird"
    required = ["A B", "A=B"]
    defaults = { A = 1, B = 1, C = 1 }
    values = { B = 1, AWS_X = 1, D = 1, D = 2 }
    forbidden = ["AWS_*", "C"]
    matching = { E = "(", F = 1, G = null }
  }
}`,
		[]string{
			`p.hcl:3,13-22: Unknown value; block is "required", not "requird". Did you mean "required"?`,
			`p.hcl:4,16-30: Not an environment variable; "A=B" cannot be the name of an environment variable.`,
			`p.hcl:5,32-33: Contradiction; "C" stands in defaults, and "C" in forbidden matches it. Leave it in one of them.`,
			`p.hcl:6,16-17: Contradiction; "B" stands in defaults and in values. Leave it in one of them.`,
			`p.hcl:6,23-28: Contradiction; "AWS_X" stands in values, and "AWS_*" in forbidden matches it. Leave it in one of them.`,
			`p.hcl:6,41-42: Duplicate key; values has "D" twice.`,
			"p.hcl:8,22-25: Not a regular expression; missing closing ): `(`. The syntax is RE2, https://github.com/google/re2/wiki/Syntax.",
			`p.hcl:8,38-42: Wrong type; The pattern of "G" must be a string, not null.`,
		},
	},
	{
		"values that a function makes of variables",
		`policy "p" {
  env {
    values    = merge({ A = job.id }, { B = 1 })
    required  = ["C"]
    forbidden = ["C"]
  }
}`,
		[]string{
			`p.hcl:3,29-35: No variables here; The value must be a constant; "job" is known only when a job is checked.`,
			`p.hcl:4,17-22: Contradiction; "C" stands in required, and "C" in forbidden matches it. Leave it in one of them.`,
		},
	},
	{
		"patterns in expressions",
		`policy "p" {
  match {
    when = matches("[", job.id)
  }
  env {
  }
}`,
		[]string{
			"p.hcl:3,20-23: Not a regular expression; missing closing ]: `[`. The syntax is RE2, https://github.com/google/re2/wiki/Syntax.",
		},
	},
	{
		"rollout",
		`rollout "r" {
  strategy = "recreate"
  deadline = "11 minutes"
  on_failure = "rolback"
  match {
    task = ["a"]
  }
}`,
		[]string{
			`p.hcl:2,14-24: Unknown value; strategy is "update" or "restart", not "recreate".`,
			`p.hcl:3,14-26: Not a duration; deadline must be a time above zero such as "90s" or "11m", not "11 minutes".`,
			`p.hcl:4,16-25: Unknown value; on_failure is "rollback" or "keep", not "rolback". Did you mean "rollback"?`,
			`p.hcl:6,5-9: Unsupported argument; An argument named "task" is not expected here.`,
		},
	},
	{
		"no time",
		`rollout "r" {
  deadline = "0s"
}`,
		[]string{
			`p.hcl:2,14-18: Not a duration; deadline must be a time above zero such as "90s" or "11m", not "0s".`,
		},
	},
	{
		"gates",
		`rollout "r" {
  gate "log" "a" {
  }
  gate "deployment" "b" {
  }
  gate "logs" "c" {
    when = "befor"
    tsk = "x"
  }
  gate "logs" "c" {
  }
}`,
		[]string{
			`p.hcl:2,8-13: Unknown kind of gate; There is no gate "log"; there is: logs. Did you mean "logs"?`,
			`p.hcl:4,8-20: Unknown kind of gate; The deployment gate is always on and has no block. Remove it.`,
			`p.hcl:7,12-19: Unknown value; when is "after" or "before", not "befor". Did you mean "before"?`,
			`p.hcl:8,5-8: Unsupported argument; An argument named "tsk" is not expected here. Did you mean "task"?`,
			`p.hcl:10,3-18: Duplicate gate; There is a gate "logs" "c" on line 6 already. Give this one another name.`,
		},
	},
	{
		"syntax",
		`policy "p" {
  enforce = 
}`,
		[]string{
			`p.hcl:2,13-3,1: Invalid expression; Expected the start of an expression, but found an invalid expression token.`,
		},
	},
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range mistakes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, diags := policies.Load([]policies.Source{{Name: "p.hcl", Bytes: []byte(c.src)}}, policies.Options{Gates: kinds})
			if diff := gocmp.Diff(c.want, texts(diags)); diff != "" {
				t.Errorf("in:\n%s(-want +got):\n%s", c.src, diff)
			}
			if (s == nil) != diags.HasErrors() {
				t.Errorf("set %v with errors %v", s, diags.HasErrors())
			}
		})
	}
}

// FuzzLoad: bad input never panics, and every diagnostic points into its source.
func FuzzLoad(f *testing.F) {
	for _, c := range mistakes {
		f.Add(c.src)
	}
	examples, _ := readmeExamples(f)
	for _, src := range examples {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		s, diags := policies.Load([]policies.Source{{Name: "p.hcl", Bytes: []byte(src)}}, policies.Options{Gates: kinds})
		for _, d := range diags {
			if d.Subject == nil {
				t.Fatalf("no range: %s", d)
			}
			if r := d.Subject; r.Start.Byte < 0 || r.Start.Byte > r.End.Byte || r.End.Byte > len(src) {
				t.Fatalf("%s: bytes %d to %d of %d", d, r.Start.Byte, r.End.Byte, len(src))
			}
		}
		if s != nil {
			s.Check(policies.FileSide, newJob("j", sudoTask("t", "-nE", "x")), nil)
		}
	})
}

// readmeExamples are those of policies; other files say in a comment what they are.
func readmeExamples(t testing.TB) (examples []string, others map[string]string) {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	others = map[string]string{}
	for _, m := range hclBlock.FindAllStringSubmatch(string(readme), -1) {
		if m[1] == "" {
			examples = append(examples, m[2])
		} else {
			others[m[1]] = m[2]
		}
	}
	return examples, others
}

var hclBlock = regexp.MustCompile("(?s)```hcl\n(?:# ([\\w.-]+\\.hcl)\n)?(.*?)```")

// TestReadme: every example of the reference loads, without a word, and fits jobs.
func TestReadme(t *testing.T) {
	t.Parallel()
	examples, others := readmeExamples(t)
	if len(examples) < 10 {
		t.Fatalf("only %d examples found", len(examples))
	}
	files := jobspectest.Generate(30)
	for _, src := range examples {
		set, diags := policies.Load([]policies.Source{{Name: "README.md", Bytes: []byte(src)}}, policies.Options{Gates: kinds})
		if len(diags) > 0 {
			t.Errorf("%s\nin:\n%s", strings.Join(texts(diags), "\n"), src)
			continue
		}
		for _, f := range files {
			file, diags := jobspec.Parse(f.Name, f.Bytes, jobspec.Inputs{})
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			if _, diags := set.Check(policies.LiveSide, file.Job, nil); diags.HasErrors() {
				t.Errorf("%s\nin:\n%s", strings.Join(texts(diags), "\n"), src)
				break
			}
		}
	}
	if _, diags := config.Load("reconcile.hcl", []byte(others["reconcile.hcl"])); diags.HasErrors() || others["reconcile.hcl"] == "" {
		t.Errorf("reconcile.hcl: %v", texts(diags))
	}
}

// TestReadmeIsFormatted needs Nomad itself: NOMAD_BIN, or nomad on the PATH.
func TestReadmeIsFormatted(t *testing.T) {
	t.Parallel()
	nomad, err := exec.LookPath(cmp.Or(os.Getenv("NOMAD_BIN"), "nomad"))
	if err != nil {
		t.Skip("no nomad: neither NOMAD_BIN nor on the PATH")
	}
	examples, others := readmeExamples(t)
	all := slices.AppendSeq(examples, maps.Values(others))
	dir := t.TempDir()
	for i, src := range all {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.hcl", i)), []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(nomad, "fmt", "-check", "-list", "-write=false", dir).CombinedOutput()
	if err != nil {
		t.Errorf("nomad fmt: %v\n%s", err, out)
	}
	for _, m := range regexp.MustCompile(`(\d+)\.hcl`).FindAllStringSubmatch(string(out), -1) {
		if i, err := strconv.Atoi(m[1]); err == nil && i < len(all) {
			t.Errorf("nomad fmt would change:\n%s", all[i])
		}
	}
}

// TestReadmeListsFunctions: all of them, and no others.
func TestReadmeListsFunctions(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "<!-- functions -->")
	text, _, _ = strings.Cut(text, "<!-- end of functions -->")
	var listed []string
	for _, m := range regexp.MustCompile("`([a-z0-9_]+)(?:\\([a-z, ]+\\))?`(?: \\||,|\n)").FindAllStringSubmatch(text, -1) {
		listed = append(listed, m[1])
	}
	slices.Sort(listed)
	if diff := gocmp.Diff(policies.FunctionNames(), listed); diff != "" {
		t.Errorf("README.md (-functions +README):\n%s", diff)
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	a := policies.Source{Name: "a.policy.hcl", Bytes: []byte("policy \"one\" {\n  description = \"d\"\n  fix = true\n  env {\n  }\n}\n")}
	b := policies.Source{Name: "b.policy.hcl", Bytes: []byte("policy \"two\" {\n  enforce = \"warn\"\n  env {\n  }\n}\n")}
	set := func(files ...policies.Source) *policies.Set {
		s, diags := policies.Load(files, policies.Options{})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		return s
	}
	s := set(a, b)
	var names []string
	for _, p := range s.Policies() {
		names = append(names, p.Name+" "+p.Description+" "+string(p.Enforce)+" "+p.Range.Filename)
	}
	if diff := gocmp.Diff([]string{"one d deny a.policy.hcl", "two  warn b.policy.hcl"}, names); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
	if string(s.Sources()["b.policy.hcl"].Bytes) != string(b.Bytes) {
		t.Error("Sources lacks the bytes of b")
	}
	if s.Revision() != set(b, a).Revision() {
		t.Error("the revision depends on the order of files")
	}
	b.Bytes = append(b.Bytes, '\n')
	if s.Revision() == set(a, b).Revision() {
		t.Error("the revision does not depend on the bytes")
	}
	if set().Revision() == "" || len(check(t, set(), newJob("j")).Findings) > 0 {
		t.Error("an empty set holds nothing against nobody")
	}
}
