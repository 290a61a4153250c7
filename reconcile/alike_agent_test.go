package reconcile

import (
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/jobspec/jobspectest"
	real "nomad-reconcile/state/nomad/nomadtest/agent"
)

var mutations = flag.Int("mutations", 20, "changes of each job that alike and a real Nomad are asked about")

var mutationSeed = flag.Uint64("mutation-seed", 1, "which changes these are")

// TestAlikeAgent holds alike against the dry-runs of a real Nomad: jobs just as they
// were registered, and with one thing changed. It must not once call equal what the
// dry-run does not. With RECONCILE_JOBS (folders, separated by colons) it takes the
// job files there too.
func TestAlikeAgent(t *testing.T) {
	binary := real.Find(os.Getenv("NOMAD_BIN"))
	if binary == "" || testing.Short() {
		t.Skip("needs a nomad binary (PATH or NOMAD_BIN)")
	}
	jobs := jobsToCompare(t)
	for name, config := range map[string]string{"plain": vault, "identities": identities} {
		t.Run(name, func(t *testing.T) { compareAll(t, idleNomad(t, binary, config), jobs) })
	}
}

// vault is the least configuration with which a server takes jobs that use Vault;
// with identities it also adds what jobs do not say, and only it knows what.
const (
	vault = `
vault {
  enabled = true
}
`
	identities = `
vault {
  enabled = true

  default_identity {
    aud = ["vault.io"]
    ttl = "1h"
  }
}

consul {
  service_identity {
    aud = ["consul.io"]
  }

  task_identity {
    aud = ["consul.io"]
  }
}
`
)

func compareAll(t *testing.T, c *api.Client, jobs map[string]*api.Job) {
	s := &comparison{c: c, random: rand.New(rand.NewPCG(*mutationSeed, 2)), missed: map[string]int{}, same: map[string]int{}}
	for _, name := range slices.Sorted(maps.Keys(jobs)) {
		s.job(t, name, jobs[name])
	}
	t.Logf("jobs: %d, refused %d; the server finds %d equal, alike %d of them, and %d when it learns what servers add", s.jobs, s.refused, s.none, s.found, s.learnt)
	t.Logf("changes: %d, alike finds %d equal, of these the server refuses %d; of %d others asked about it finds %d equal",
		s.changes, s.equal, s.unknown, s.asked, s.overcautious)
	for _, at := range slices.Sorted(maps.Keys(s.missed)) {
		t.Logf("asked in vain: %dx %s", s.missed[at], at)
	}
	for _, at := range slices.Sorted(maps.Keys(s.same)) {
		t.Logf("rightly equal: %dx %s", s.same[at], at)
	}
}

// idleNomad is a client of an agent that places nothing, so that nothing is run.
func idleNomad(t *testing.T, binary, config string) *api.Client {
	t.Helper()
	a, err := real.Start(real.Options{Binary: binary, Dir: t.TempDir(), PATH: os.Getenv("PATH"), Config: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := api.NewClient(&api.Config{Address: a.URL()})
	if err != nil {
		t.Fatal(err)
	}
	nodes, _, err := c.Nodes().List(nil)
	for _, n := range nodes {
		_, err = c.Nodes().ToggleEligibility(n.ID, false, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func jobsToCompare(t *testing.T) map[string]*api.Job {
	t.Helper()
	jobs := map[string]*api.Job{}
	for _, f := range jobspectest.Generate(40) {
		addJob(jobs, f.Name, f.Bytes)
	}
	folders := append(filepath.SplitList(os.Getenv("RECONCILE_JOBS")), "../config/examples", "../state/jobspec/testdata/parse")
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || !slices.Contains([]string{".hcl", ".nomad", ".job"}, filepath.Ext(path)) {
				return err
			}
			src, err := os.ReadFile(path)
			if err == nil && jobspec.IsJob(src) {
				addJob(jobs, path, src)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return jobs
}

var unsetVariable = regexp.MustCompile(`^Unset variable "(.*)"$`)

func addJob(jobs map[string]*api.Job, path string, src []byte) {
	in := jobspec.Inputs{FS: jobspec.FS{Dirs: []string{filepath.Dir(path)}}, Vars: map[string]string{}}
	f, diags := jobspec.Parse(filepath.Base(path), src, in)
	for _, d := range diags {
		if m := unsetVariable.FindStringSubmatch(d.Summary); m != nil {
			in.Vars[m[1]] = "1"
		}
	}
	if len(in.Vars) > 0 {
		f, diags = jobspec.Parse(filepath.Base(path), src, in)
	}
	if !diags.HasErrors() {
		jobs[path] = f.Job
	}
}

// comparison counts what came of it.
type comparison struct {
	c      *api.Client
	random *rand.Rand
	known  added

	jobs, refused, none, found, learnt           int
	changes, equal, unknown, asked, overcautious int
	missed, same                                 map[string]int // by place and change
}

func (s *comparison) job(t *testing.T, name string, j *api.Job) {
	s.jobs++
	if _, _, err := s.c.Jobs().Register(job.Clone(j), nil); err != nil {
		s.refused++
		t.Logf("%s: refused: %.150v", name, err)
		return
	}
	defer s.c.Jobs().Deregister(*j.ID, true, nil)
	live, _, err := s.c.Jobs().Info(*j.ID, nil)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	before, base := job.Clone(live), job.Clone(j)
	is, quick := alike(live, j), s.known.alike(live, j)
	if !reflect.DeepEqual(live, before) || !reflect.DeepEqual(j, base) {
		t.Errorf("%s: alike has changed what it was given", name)
	}
	none, diff, err := s.dryRun(j)
	switch {
	case err != nil:
		t.Errorf("%s: %v", name, err)
	case (is || quick) && !none:
		t.Errorf("%s: alike, but the dry-run shows %s", name, diff)
	case none:
		s.none++
		if s.known.learn(live, j); quick {
			s.learnt++
		}
		if is {
			s.found++
		} else {
			t.Logf("%s: not alike: %s", name, whereUnlike(live, j))
		}
	}
	for _, desired := range []*api.Job{j, live} {
		if alike(live, desired) || s.known.alike(live, desired) {
			s.mutate(t, name, live, desired)
		}
	}
}

func (s *comparison) dryRun(j *api.Job) (none bool, diff string, err error) {
	resp, _, err := s.c.Jobs().Plan(job.Clone(j), true, nil)
	if err != nil {
		return false, "", err
	}
	return isNone(resp.Diff), fmt.Sprintf("%.600s", canonicalDiff(resp.Diff)), nil
}

// whereUnlike is the first place where the live job is not what Nomad would store.
func whereUnlike(live, desired *api.Job) string {
	want := job.Clone(desired)
	if !stored(want, live, nothingAdded) {
		return "cannot be told"
	}
	return firstUnlike("", reflect.ValueOf(live), reflect.ValueOf(want))
}

func firstUnlike(at string, a, b reflect.Value) string {
	if sameValues(a, b) {
		return ""
	}
	switch {
	case a.Kind() == reflect.Pointer && !a.IsNil() && !b.IsNil():
		return firstUnlike(at, a.Elem(), b.Elem())
	case a.Kind() == reflect.Struct:
		for _, i := range compared(a.Type()) {
			if in := firstUnlike(at+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i)); in != "" {
				return in
			}
		}
	case a.Kind() == reflect.Slice && a.Len() == b.Len() && a.Len() > 0:
		for i := range a.Len() {
			if in := firstUnlike(fmt.Sprintf("%s[%d]", at, i), a.Index(i), b.Index(i)); in != "" {
				return in
			}
		}
	}
	text := func(v reflect.Value) string { return fmt.Sprintf("%.200s", spell(v)) }
	return fmt.Sprintf("%s live %s want %s", at, text(a), text(b))
}

func spell(v reflect.Value) string {
	var b strings.Builder
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "nil"
		}
		return "&" + spell(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			b.WriteString(spell(v.Index(i)) + " ")
		}
		return "[" + b.String() + "]"
	}
	return fmt.Sprintf("%+v", v)
}

// mutate changes one thing at a time. What alike finds equal must be so for the
// server too; of the rest a few are asked about, to see how often it asks in vain.
func (s *comparison) mutate(t *testing.T, name string, live, base *api.Job) {
	sites := sitesOf(base)
	s.random.Shuffle(len(sites), func(i, j int) { sites[i], sites[j] = sites[j], sites[i] })
	for _, site := range sites[:min(len(sites), *mutations)] {
		desired := job.Clone(base)
		at := site(desired)
		if reflect.DeepEqual(desired, base) {
			continue
		}
		s.changes++
		is, ok := s.alikeOrPanic(live, desired)
		if !ok || !is && s.random.IntN(50) > 0 {
			continue
		}
		none, diff, err := s.dryRun(desired)
		switch {
		case is && err != nil:
			s.equal, s.unknown = s.equal+1, s.unknown+1
		case is && !none:
			t.Errorf("%s: with %s: alike, but the dry-run shows %s", name, at, diff)
		case is:
			s.equal++
			s.same[digits.ReplaceAllString(at, "[]")]++
		case err == nil:
			if s.asked++; none {
				s.overcautious++
				s.missed[digits.ReplaceAllString(at, "[]")]++
			}
		}
	}
}

var digits = regexp.MustCompile(`\[[^\]]*\]`)

// alikeOrPanic: Nomad's own Canonicalize panics on some jobs that no file can give.
func (s *comparison) alikeOrPanic(live, desired *api.Job) (is, ok bool) {
	defer func() { ok = recover() == nil }()
	return s.known.alike(live, desired), true
}
