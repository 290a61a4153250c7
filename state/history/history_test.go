package history_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"
)

var (
	start = time.Date(2026, 2, 4, 16, 30, 0, 250_000_000, time.UTC)
	web   = job.ID{Namespace: "default", Name: "web"}
)

func fixed() time.Time { return start }

// ticking is a clock that moves a minute each time it is asked.
func ticking() func() time.Time {
	var mu sync.Mutex
	now := start
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Minute)
		return now
	}
}

func open(t *testing.T, dir string, keep int, clock func() time.Time) *history.Store {
	t.Helper()
	s, err := history.Open(dir, keep, clock)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// awkward bytes: no final newline, CRLF, a BOM, invalid UTF-8, NUL.
var oldBytes = []byte("\xef\xbb\xbfjob \"web\" {}\r\n\x00\xff no newline")

func prior() history.Prior {
	return history.Prior{
		File: "jobs/web.hcl", Path: "/srv/jobs/web.hcl", Root: "/srv/jobs", Bytes: oldBytes, Mode: 0o640,
		Job: &api.Job{
			ID: new("web"), Name: new("web"), Priority: new(50), Meta: map[string]string{"a": "<&>\u2028"},
			TaskGroups: []*api.TaskGroup{{
				Name: new("g"), Count: new(2),
				Tasks: []*api.Task{{
					Name: "t", Driver: "raw_exec", KillTimeout: new(30 * time.Second),
					Config: map[string]any{"args": []any{"-E", "x"}, "n": 3, "nested": []map[string]any{{"k": true}}},
				}},
			}},
		},
		Submission: &api.JobSubmission{Source: "job \"web\" {}", Format: "hcl2", VariableFlags: map[string]string{"a": "b"}},
		Healthy:    true, Version: 7, JobModifyIndex: 42,
	}
}

func next() history.Next {
	p := prior()
	p.Job.TaskGroups[0].Tasks[0].Config["args"] = []any{"x"}
	return history.Next{
		Bytes: []byte("new"), Job: p.Job,
		Submission: &api.JobSubmission{Source: "new", Format: "hcl2"},
	}
}

func planned() history.Run {
	return history.Run{
		Job: web, Kind: "apply", File: "jobs/web.hcl", NewFile: history.Hash([]byte("new")),
		Basis:   history.Basis{File: history.Hash(oldBytes), Vars: "v", Policies: "p", JobModifyIndex: 42},
		Actions: []string{"edit", "register"}, Strategy: "restart", OnFailure: "rollback", VersionBefore: 7,
	}
}

func begin(t *testing.T, s *history.Store, run history.Run) *history.Journal {
	t.Helper()
	j, err := s.Begin(run, prior(), next())
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// whole is a run with every kind of event, closed.
func whole(t *testing.T, s *history.Store) history.Run {
	t.Helper()
	j := begin(t, s, planned())
	must(t,
		j.Intend("write", 0),
		j.Done(history.Step{Name: "write", Result: history.OK, Started: start, Duration: time.Millisecond}),
		j.Intend("register", 42),
		j.Done(history.Step{Name: "register", Result: history.OK, Index: 55, Started: start}),
		j.Gate(history.GateResult{Kind: "logs", Name: "no-sudo", Result: history.NotOK, Detail: "password=hunter2 in stderr", Duration: time.Second}),
		j.Intend("restore", 55),
		j.Done(history.Step{Name: "restore", Result: history.OK, Index: 60, Detail: "token: abcdef", Started: start}),
		j.Close(history.RolledBack, "gate logs failed, api_key=abc", 9),
	)
	return j.Run()
}

func checkLoaded(t *testing.T, s *history.Store, id string) {
	t.Helper()
	p, n, err := s.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	wantPrior, wantNext := prior(), next()
	if !job.Equal(p.Job, wantPrior.Job) || !job.Equal(n.Job, wantNext.Job) {
		t.Error("a job came back another")
	}
	p.Job, n.Job, wantPrior.Job, wantNext.Job = nil, nil, nil, nil
	if diff := cmp.Diff(wantPrior, p) + cmp.Diff(wantNext, n); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBeginIsWholeOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := begin(t, open(t, dir, 20, fixed), planned()).Run()
	if run.ID != "20260204-163000-web-4000" || !run.Open {
		t.Errorf("run %q, open %v", run.ID, run.Open)
	}
	data, err := os.ReadFile(run.Backup)
	must(t, err)
	if !bytes.Equal(data, oldBytes) || filepath.Base(run.Backup) != "web.hcl.backup.20260204_163000" {
		t.Errorf("backup %s holds %q", run.Backup, data)
	}
	// What another process sees, the first one dropped.
	s := open(t, dir, 20, fixed)
	checkLoaded(t, s, run.ID)
	open, err := s.Unfinished()
	must(t, err)
	if diff := cmp.Diff([]history.Run{run}, open); diff != "" {
		t.Errorf("(-begun +found):\n%s", diff)
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	run := whole(t, open(t, dir, 20, fixed))
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		must(t, err)
		info, err := d.Info()
		must(t, err)
		want := fs.FileMode(0o600)
		switch {
		case d.IsDir():
			want = 0o700
		case path == run.Backup:
			want = 0o640
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
		return nil
	}))
}

func TestRunReadsBackAsWritten(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 20, fixed)
	written := whole(t, s)
	runs, err := s.Runs(&web)
	must(t, err)
	if diff := cmp.Diff([]history.Run{written}, runs); diff != "" {
		t.Fatalf("(-written +read):\n%s", diff)
	}
	run := runs[0]
	if run.Open || run.Result != history.RolledBack || run.VersionAfter != 9 || len(run.Steps) != 3 || len(run.Gates) != 1 {
		t.Errorf("%+v", run)
	}
	if in, ok := run.Intent("register"); !ok || !in.Done || in.Index != 42 {
		t.Errorf("intent register: %+v, %v", in, ok)
	}
	if st, ok := run.Step("register"); !ok || st.Index != 55 {
		t.Errorf("step register: %+v, %v", st, ok)
	}
	for _, text := range []string{run.Reason, run.Gates[0].Detail, run.Steps[2].Detail} {
		if !strings.Contains(text, job.Redacted) || strings.Contains(text, "hunter2") || strings.Contains(text, "abc") {
			t.Errorf("a secret is on disk: %s", text)
		}
	}
}

func TestIntentWithoutDone(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 20, fixed)
	j := begin(t, s, planned())
	must(t, j.Intend("stop", 42), j.Abandon())
	runs, err := s.Unfinished()
	must(t, err)
	if in, ok := runs[0].Intent("stop"); !ok || in.Done {
		t.Errorf("%+v, %v", in, ok)
	}
	if _, ok := runs[0].Intent("register"); ok {
		t.Error("an intent that nobody had")
	}
}

func TestRunWithoutFile(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 20, fixed)
	j, err := s.Begin(history.Run{Job: web, Kind: "agent"}, history.Prior{}, history.Next{})
	must(t, err, j.Abandon())
	p, n, err := s.Load(j.Run().ID)
	must(t, err)
	if diff := cmp.Diff(history.Prior{}, p) + cmp.Diff(history.Next{}, n); diff != "" || j.Run().Backup != "" {
		t.Errorf("backup %q, %s", j.Run().Backup, diff)
	}
}

// Kill-safety: a journal cut at any byte is one of a run that may have got this
// far; from the cut on, the run can be resumed and closed.
func TestJournalCutAnywhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := whole(t, open(t, dir, 20, fixed))
	path := filepath.Join(filepath.Dir(run.Backup), "journal")
	full, err := os.ReadFile(path)
	must(t, err)
	s := open(t, dir, 20, fixed)
	for cut := range len(full) {
		must(t, os.WriteFile(path, full[:cut], 0o600))
		runs, err := s.Unfinished()
		if err != nil || len(runs) != 1 || runs[0].ID != run.ID {
			t.Fatalf("cut at %d: %v, %v", cut, runs, err)
		}
		lines := bytes.Count(full[:cut], []byte("\n"))
		if got := len(runs[0].Intents) + len(runs[0].Steps) + len(runs[0].Gates); got != lines {
			t.Fatalf("cut at %d: %d events of %d whole lines", cut, got, lines)
		}
		j, err := s.Resume(runs[0])
		must(t, err, j.Done(history.Step{Name: "resumed", Result: history.OK}), j.Close(history.Failed, "killed", 9))
		again, err := s.Find(run.ID)
		must(t, err)
		if again.Open || again.Result != history.Failed || again.Steps[len(again.Steps)-1].Name != "resumed" {
			t.Fatalf("cut at %d: resumed into %+v", cut, again)
		}
	}
	checkLoaded(t, s, run.ID)
}

func TestResumeEndedRun(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 20, fixed)
	if _, err := s.Resume(whole(t, s)); err == nil {
		t.Error("an ended run was resumed")
	}
}

// A crash while a run's folder was being made or removed leaves nothing that counts.
func TestHalfMadeFoldersDoNotCount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, 20, fixed)
	first := whole(t, s)
	for _, name := range []string{".new", ".old"} {
		half := filepath.Join(dir, "jobs", "web", name)
		must(t, os.MkdirAll(half, 0o700), os.WriteFile(filepath.Join(half, "run.json"), []byte("{"), 0o600))
	}
	runs, err := s.Runs(nil)
	must(t, err)
	if len(runs) != 1 {
		t.Fatalf("%d runs, want 1", len(runs))
	}
	second := begin(t, s, planned()).Run()
	checkLoaded(t, s, second.ID)
	checkLoaded(t, s, first.ID)
}

func TestCorruptRunIsNamedAndHidesNoOther(t *testing.T) {
	t.Parallel()
	damage := map[string]func(dir string) error{
		"run.json garbage": func(dir string) error { return os.WriteFile(filepath.Join(dir, "run.json"), []byte("{"), 0o600) },
		"run.json empty":   func(dir string) error { return os.WriteFile(filepath.Join(dir, "run.json"), nil, 0o600) },
		"run.json null":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "run.json"), []byte("null"), 0o600) },
		"run.json gone":    func(dir string) error { return os.Remove(filepath.Join(dir, "run.json")) },
		"journal gone":     func(dir string) error { return os.Remove(filepath.Join(dir, "journal")) },
		"journal garbage": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "journal"), []byte("{}\nwhat\n{}\n"), 0o600)
		},
		"folder empty": func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)) },
		"renamed":      func(dir string) error { return os.Rename(dir, filepath.Dir(dir)+"/20990101-000000-web-0000") },
	}
	for name, harm := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir(), 20, ticking())
			good, bad := whole(t, s), whole(t, s)
			must(t, harm(filepath.Dir(bad.Backup)))
			runs, err := s.Runs(nil)
			if len(runs) != 1 || runs[0].ID != good.ID {
				t.Errorf("the good run is hidden: %v", runs)
			}
			if err == nil || !strings.Contains(err.Error(), "web-") || !strings.Contains(err.Error(), "move the folder") {
				t.Errorf("the corrupt run is not named: %v", err)
			}
			if _, err := s.Unfinished(); err == nil {
				t.Error("Unfinished says that all is well")
			}
		})
	}
}

func TestLoadCorrupt(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 20, fixed)
	run := whole(t, s)
	must(t, os.WriteFile(filepath.Join(filepath.Dir(run.Backup), "prior.json"), []byte("{"), 0o600))
	if _, _, err := s.Load(run.ID); err == nil || !strings.Contains(err.Error(), run.ID) {
		t.Errorf("%v", err)
	}
	if _, _, err := s.Load("20990101-000000-none-0000"); err == nil {
		t.Error("a run that is not there was loaded")
	}
}

func TestIDsSortAndAreUnique(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 4, 16, 30, 0, 999_999_000, time.UTC) // the fraction overflows into the next second
	s := open(t, t.TempDir(), 100, func() time.Time { return at })
	var ids []string
	for range 4 {
		ids = append(ids, begin(t, s, planned()).Run().ID)
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != 4 {
		t.Errorf("%v", ids)
	}
	runs, err := s.Runs(&web)
	must(t, err)
	slices.Reverse(ids)
	for i, run := range runs {
		if run.ID != ids[i] {
			t.Errorf("run %d is %s, want %s: newest first", i, run.ID, ids[i])
		}
	}
}

func TestOddJobNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, 20, fixed)
	var all []job.ID
	for _, name := range []string{"a/b", "a_b", "a.b", "..", ".", "../../etc", "Ünï cødé", "a@b", "x%2Fy", "x/y", strings.Repeat("long", 80), strings.Repeat("long", 80) + "er"} {
		for _, ns := range []string{"default", "prod"} {
			all = append(all, job.ID{Namespace: ns, Name: name})
		}
	}
	all = append(all, job.ID{Namespace: "b", Name: "a"}) // beside the job a@b
	for _, id := range all {
		unlock, err := s.Lock(t.Context(), id)
		if err != nil {
			t.Fatalf("%q shares its lock with another: %v", id, err)
		}
		defer unlock()
		run := planned()
		run.Job = id
		j := begin(t, s, run)
		must(t, j.Abandon())
		if strings.ContainsAny(j.Run().ID, "/ @%") || len(j.Run().ID) > 70 {
			t.Errorf("ID %q", j.Run().ID)
		}
	}
	for _, id := range all {
		runs, err := s.Runs(&id)
		must(t, err)
		if len(runs) != 1 || runs[0].Job != id {
			t.Errorf("%q has the runs %v", id, runs)
		}
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("something was written outside jobs/: %v", entries)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 20, ticking())
	first, second := whole(t, s), whole(t, s)
	for query, want := range map[string]string{first.ID: first.ID, second.ID[:15]: second.ID} {
		if run, err := s.Find(query); err != nil || run.ID != want {
			t.Errorf("Find(%q) = %q, %v", query, run.ID, err)
		}
	}
	_, err := s.Find("2026")
	if err == nil || !strings.Contains(err.Error(), first.ID) || !strings.Contains(err.Error(), second.ID) {
		t.Errorf("the candidates are not listed: %v", err)
	}
	for _, query := range []string{"", "1999", "../web", first.ID + "x"} {
		if _, err := s.Find(query); err == nil || !strings.Contains(err.Error(), "reconcile history") {
			t.Errorf("Find(%q): %v", query, err)
		}
	}
}

func TestSameRevisionIgnoresTheIndex(t *testing.T) {
	t.Parallel()
	a := history.Basis{File: "f", Vars: "v", Policies: "p", JobModifyIndex: 1}
	for b, want := range map[history.Basis]bool{
		{File: "f", Vars: "v", Policies: "p", JobModifyIndex: 2}: true,
		{File: "x", Vars: "v", Policies: "p", JobModifyIndex: 1}: false,
		{File: "f", Vars: "x", Policies: "p", JobModifyIndex: 1}: false,
		{File: "f", Vars: "v", Policies: "x", JobModifyIndex: 1}: false,
	} {
		if a.SameRevision(b) != want {
			t.Errorf("%+v: %v", b, !want)
		}
	}
}

func TestLockWithinOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := open(t, dir, 20, fixed), open(t, dir, 20, fixed)
	unlock, err := one.Lock(t.Context(), web)
	must(t, err)
	_, err = two.Lock(t.Context(), web)
	if busy, ok := errors.AsType[*history.BusyError](err); !ok || busy.Job != web || busy.PID != os.Getpid() {
		t.Fatalf("%v", err)
	}
	other, err := two.Lock(t.Context(), job.ID{Namespace: "default", Name: "api"})
	must(t, err)
	other()
	unlock()
	unlock, err = two.Lock(t.Context(), web)
	must(t, err)
	unlock()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := one.Lock(cancelled, web); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestMain lets the test binary be the other process, one that dies when its input
// ends or when it is killed.
func TestMain(m *testing.M) {
	role, dir, child := strings.Cut(os.Getenv(childVar), ":")
	if !child {
		os.Exit(m.Run())
	}
	s, err := history.Open(dir, 20, time.Now)
	if err == nil && role == "hold" {
		_, err = s.Lock(context.Background(), web)
	}
	for err == nil && role == "work" {
		err = work(s)
	}
	fmt.Println("locked", err)
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}

const childVar = "HISTORY_TEST_CHILD"

// work is one run, with a word on what it is about to do, so that it can be killed
// in the middle of anything.
func work(s *history.Store) error {
	fmt.Println("begin")
	j, err := s.Begin(planned(), prior(), next())
	if err != nil {
		return err
	}
	fmt.Println("intend")
	if err := j.Intend("write", 0); err != nil {
		return err
	}
	fmt.Println("done")
	if err := j.Done(history.Step{Name: "write", Result: history.OK}); err != nil {
		return err
	}
	fmt.Println("close")
	return j.Close(history.Converged, "", 8)
}

// another starts the test binary in a role and returns its output.
func another(t *testing.T, role, dir string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"="+role+":"+dir)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewReader(out)
}

// A process killed in the middle of anything leaves whole runs, of which at most
// the last is open, and every one can be loaded.
func TestKilledProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, 20, time.Now)
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 15 {
		cmd, out := another(t, "work", dir)
		for range 1 + random.IntN(12) {
			if _, err := out.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		open, err := s.Unfinished()
		if err != nil || len(open) > 1 {
			t.Fatalf("round %d: %d open runs, %v", round, len(open), err)
		}
		for _, run := range open {
			checkLoaded(t, s, run.ID)
			j, err := s.Resume(run)
			must(t, err, j.Close(history.Failed, "killed", 0))
		}
	}
	runs, err := s.Runs(nil)
	must(t, err)
	for _, run := range runs {
		checkLoaded(t, s, run.ID)
	}
}

func TestLockBetweenProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, 20, fixed)
	cmd, out := another(t, "hold", dir)
	if said, err := out.ReadString('\n'); said != "locked <nil>\n" {
		t.Fatal(said, err)
	}
	_, err := s.Lock(t.Context(), web)
	if busy, ok := errors.AsType[*history.BusyError](err); !ok || busy.PID != cmd.Process.Pid {
		t.Fatalf("%v, want busy with process %d", err, cmd.Process.Pid)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	unlock, err := s.Lock(t.Context(), web) // a dead holder holds nothing
	must(t, err)
	unlock()
}

// Jobs are apart: runs of several at once neither mix nor share an ID.
func TestConcurrentJobs(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 3, time.Now)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			run := planned()
			run.Job.Name = fmt.Sprintf("job-%d", i)
			for range 5 {
				j, err := s.Begin(run, prior(), next())
				if err == nil {
					err = errors.Join(j.Intend("write", 0), j.Close(history.Converged, "", 1))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	runs, err := s.Runs(nil)
	must(t, err)
	if len(runs) != 4*3 {
		t.Errorf("%d runs, want %d", len(runs), 4*3)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	if _, err := history.Open(t.TempDir(), 0, fixed); err == nil {
		t.Error("keep = 0 was accepted")
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, err := history.Open(file, 1, fixed); err == nil || !strings.Contains(err.Error(), "state.dir") {
		t.Errorf("%v", err)
	}
}

// A crash may leave a tail longer than all that follows it.
func TestResumeCutsATornTail(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 20, fixed)
	j := begin(t, s, planned())
	must(t, j.Intend("write", 0), j.Abandon())
	path := filepath.Join(filepath.Dir(j.Run().Backup), "journal")
	data, err := os.ReadFile(path)
	must(t, err, os.WriteFile(path, append(data, make([]byte, 4096)...), 0o600))
	j, err = s.Resume(j.Run())
	must(t, err, j.Close(history.Failed, "killed", 0))
	run, err := s.Find(j.Run().ID)
	must(t, err)
	if run.Open || len(run.Intents) != 1 {
		t.Errorf("%+v", run)
	}
	if data, err := os.ReadFile(path); err != nil || bytes.ContainsRune(data, 0) {
		t.Errorf("the torn tail is still there: %v", err)
	}
}

// Whoever lists runs while others are being removed sees no corrupt ones.
func TestListingWhilePruning(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 1, time.Now)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 40 {
			j, err := s.Begin(planned(), prior(), next())
			if err == nil {
				err = j.Close(history.Converged, "", 0)
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for {
		if _, err := s.Runs(nil); err != nil {
			t.Error(err)
		}
		select {
		case <-ended:
			return
		default:
		}
	}
}
