package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/reconcile/controller/server"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// puppet is an agent that says what it is told to say.
type puppet struct {
	mu       sync.Mutex
	overview controller.Overview
}

func (p *puppet) set(change func(*controller.Overview)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.overview.Jobs = append([]controller.Status(nil), p.overview.Jobs...)
	change(&p.overview)
	p.overview.Serial++
}

func (p *puppet) Overview() controller.Overview {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.overview
}

func (p *puppet) Serial() uint64 { return p.Overview().Serial }
func (p *puppet) Alive() bool    { return true }

func (p *puppet) Plans(ids ...job.ID) []reconcile.Plan {
	return []reconcile.Plan{{ID: ids[0], File: "jobs/web.hcl", Condition: reconcile.Held, Reason: "it is suspended: load test"}}
}

func (p *puppet) Runs(context.Context, *job.ID) ([]history.Run, error) {
	return []history.Run{{ID: "r1", Job: job.ID{Namespace: "default", Name: "web"}, Kind: "agent", Result: history.Converged, Started: noon.Add(-time.Hour), Ended: noon.Add(-time.Hour)}}, nil
}

func (p *puppet) Reconcile(names ...string) (int, error) { return len(names), nil }

func newPuppet() *puppet {
	version := uint64(3)
	return &puppet{overview: controller.Overview{
		Started: noon.Add(-24 * time.Hour), Ready: true, Passed: noon.Add(-5 * time.Second), Config: "0123456789ab", Loaded: noon.Add(-time.Hour), Known: 3,
		Jobs: []controller.Status{
			{ID: job.ID{Namespace: "default", Name: "a/b"}, File: "jobs/a.hcl", Condition: reconcile.InSync, Version: &version},
			{ID: job.ID{Namespace: "default", Name: "web"}, File: "jobs/web.hcl", Condition: reconcile.Held, Reason: "it is suspended: load test", Next: []string{"reconcile resume web"}, Since: noon.Add(-2 * time.Minute), Looked: noon, Version: &version},
			{ID: job.ID{Namespace: "prod", Name: "web"}, File: "jobs/prod.hcl", Condition: reconcile.InSync, Version: &version},
		},
	}}
}

// place is a folder with a configuration, and an agent at its socket.
func place(t *testing.T, agent server.Agent) (config string) {
	t.Helper()
	dir := t.TempDir()
	config = filepath.Join(dir, "reconcile.hcl")
	state := filepath.Join(dir, ".reconcile")
	if err := errors.Join(os.Mkdir(state, 0o700), os.WriteFile(config, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if agent == nil {
		return config
	}
	l, err := server.ListenUnix(filepath.Join(state, server.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		h := server.New(agent, encoders(), server.Options{Trusted: true})
		ended <- server.Serve(ctx, l, h, time.Second, logr.Discard())
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return config
}

// call runs the program in this process.
func call(args ...string) (stdout, stderr string, code int) {
	var out, err bytes.Buffer
	code = run(&shell{stdin: strings.NewReader(""), stdout: &out, stderr: &err, now: func() time.Time { return noon }}, args)
	return out.String(), err.String(), code
}

func TestStatusOfAgent(t *testing.T) {
	t.Parallel()
	config := place(t, newPuppet())
	file := filepath.Join(t.TempDir(), "web.hcl")
	if err := os.WriteFile(file, []byte("job \"web\" {\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	table := `Agent: running for 1d, last pass 5s ago, configuration 01234567 loaded 1h ago.

  JOB       CONDITION  SINCE  REVISION  LAST RUN  REASON
! web       held       2m     -         -         it is suspended: load test; next: reconcile resume web
`
	for _, tt := range []struct {
		name           string
		args           []string
		stdout, stderr string
		code           int
	}{
		{"all", nil, table + `✓ a/b       in sync    -      -         -
✓ web@prod  in sync    -      -         -

Status: 1 held, 2 in sync.
`, "", 6},
		{"a name of two", []string{"web"}, table + `✓ web@prod  in sync    -      -         -

Status: 1 held, 1 in sync.
`, "", 6},
		{"the job of a file", []string{file}, table + `✓ web@prod  in sync    -      -         -

Status: 1 held, 1 in sync.
`, "", 6},
		{"one", []string{"web@default"}, `Agent: running for 1d, last pass 5s ago, configuration 01234567 loaded 1h ago.

! web: held: it is suspended: load test
    next: reconcile resume web

  since     2m ago
  looked at just now
  file      jobs/web.hcl
  live      version 3

  Last runs:
    ✓ converged 1h ago, by agent: r1
`, "", 6},
		{"a name to be escaped", []string{"a/b"}, `Agent: running for 1d, last pass 5s ago, configuration 01234567 loaded 1h ago.

✓ a/b: in sync

  file      jobs/a.hcl
  live      version 3

  Last runs:
    ✓ converged 1h ago, by agent: r1
`, "", 0},
		{"unknown", []string{"wbe", "web"}, "", "Error: the agent knows no job \"wbe\". Did you mean \"web\"? `reconcile status -all` lists what there is\n", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := call(append([]string{"status", "-config", config}, tt.args...)...)
			if d := cmp.Diff([]any{tt.stdout, tt.stderr, tt.code}, []any{stdout, stderr, code}); d != "" {
				t.Error(d)
			}
		})
	}
}

// The verb prints the very document that the agent gives.
func TestStatusJSONIsTheAgents(t *testing.T) {
	t.Parallel()
	config := place(t, newPuppet())
	got, err := server.Client(filepath.Join(filepath.Dir(config), ".reconcile", server.SocketName)).Get("http://agent/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	want, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	stdout, _, code := call("status", "-json", "-config", config)
	if d := cmp.Diff(string(want), stdout); d != "" || code != exitHeld {
		t.Errorf("%d, %s", code, d)
	}
}

// Before its first pass is done, nobody can say that there is no such job.
func TestStatusTooEarly(t *testing.T) {
	t.Parallel()
	p := newPuppet()
	p.set(func(o *controller.Overview) { o.Ready, o.Left = false, 3 })
	if _, stderr, code := call("status", "wbe", "-config", place(t, p)); code != exitError || !strings.Contains(stderr, "has not come to a job \"wbe\" yet") {
		t.Errorf("%d %s", code, stderr)
	}
}

// An agent that cannot tell is an error, whatever the jobs were.
func TestStatusOfBlindAgent(t *testing.T) {
	t.Parallel()
	p := newPuppet()
	p.set(func(o *controller.Overview) { o.Jobs, o.NomadErr = o.Jobs[:1], "http://x does not answer" })
	stdout, _, code := call("status", "-config", place(t, p))
	if code != exitError || !strings.Contains(stdout, "Nomad cannot be asked") {
		t.Errorf("%d %s", code, stdout)
	}
}

func TestStatusOfAnother(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("everything is root's to read")
	}
	config := place(t, newPuppet())
	state := filepath.Join(filepath.Dir(config), ".reconcile")
	if err := os.Chmod(state, 0o000); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(state, 0o700) })
	if _, stderr, code := call("status", "-config", config); code != exitError || !strings.Contains(stderr, " alone: ask as they do, with `sudo -u ") {
		t.Errorf("%d %s", code, stderr)
	}
}

func TestExplained(t *testing.T) {
	t.Parallel()
	a := &agentAt{socket: "/nowhere/agent.sock"}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{syscall.ENOENT, "no agent is running"},
		{fmt.Errorf("dial: %w", syscall.ECONNREFUSED), "no agent is running"},
		{syscall.EACCES, "/nowhere/agent.sock is for root alone: ask as they do, with `sudo -u root reconcile status`, or over http.address of reconcile.hcl"},
		{io.EOF, "asking the agent at /nowhere/agent.sock: EOF"},
	} {
		if got := a.explained(t.Context(), tt.err).Error(); got != tt.want {
			t.Error(got)
		}
	}
	late, cancel := context.WithDeadline(t.Context(), noon)
	defer cancel()
	if got := a.explained(late, late.Err()).Error(); got != "the agent at /nowhere/agent.sock does not answer within 10s; look at its log, and restart it" {
		t.Error(got)
	}
}

// What the agent refuses is said in its words; what is no answer of it, too.
func TestAgentRefuses(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"error": "there is nothing at /v1/status", "next": "ask for /v9"}`: "the agent says: there is nothing at /v1/status; ask for /v9",
		`what?`: "the agent says: 404 Not Found; look at its log",
	} {
		a := &agentAt{socket: "s", client: &http.Client{Transport: answer{404, body}}}
		if _, _, err := a.status(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%v", err)
		}
	}
	a := &agentAt{socket: "s", client: &http.Client{Transport: answer{200, `[]`}}}
	if _, _, err := a.status(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "the agent's answer cannot be read: json: ") {
		t.Errorf("%v", err)
	}
}

type answer struct {
	status int
	body   string
}

func (a answer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// lines collects what is written, for a test that waits for it.
type lines struct {
	mu   sync.Mutex
	text string
	new  chan bool
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += string(p)
	select {
	case l.new <- true:
	default:
	}
	return len(p), nil
}

func (l *lines) await(t *testing.T, text string) {
	t.Helper()
	for limit := time.After(20 * time.Second); ; {
		l.mu.Lock()
		has := strings.Contains(l.text, text)
		l.mu.Unlock()
		if has {
			return
		}
		select {
		case <-l.new:
		case <-limit:
			t.Fatalf("%q has not come: %s", text, l.text)
		}
	}
}

// Without a terminal, -watch tells of each change of a condition, or with -json gives
// the whole document in a line.
func TestWatch(t *testing.T) {
	t.Parallel()
	p := newPuppet()
	config := place(t, p)
	text, docs := &lines{new: make(chan bool, 1)}, &lines{new: make(chan bool, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	for out, f := range map[*lines]statusFlags{text: {config: config, watch: true}, docs: {config: config, watch: true, json: true}} {
		in := &invocation{shell: &shell{stdout: out, stderr: io.Discard, now: func() time.Time { return noon }}}
		source, err := in.openStatus(f)
		if err != nil {
			t.Fatal(err)
		}
		ended.Go(func() {
			if code := in.watch(ctx, source); code != exitOK {
				t.Errorf("it ends with %d", code)
			}
		})
	}
	text.await(t, "! web: held: it is suspended: load test; next: reconcile resume web\n")
	docs.await(t, "\n")
	p.set(func(o *controller.Overview) { o.Passed = noon }) // no condition
	p.set(func(o *controller.Overview) {
		o.Jobs[1].Condition, o.Jobs[1].Reason, o.Jobs[1].Next = reconcile.InSync, "", nil
		o.Jobs = o.Jobs[:2]
	})
	text.await(t, "✓ web: in sync (was held)\n- web@prod: gone\n")
	docs.await(t, `"summary":{"in_sync":2,`)
	cancel()
	ended.Wait()
	if want := "! web: held: it is suspended: load test; next: reconcile resume web\n✓ web: in sync (was held)\n- web@prod: gone\n"; text.text != want {
		t.Error(cmp.Diff(want, text.text))
	}
	for line := range strings.Lines(docs.text) {
		if !json.Valid([]byte(line)) || !strings.HasPrefix(line, `{"format_version":"1.0","agent":{`) {
			t.Errorf("%s", line)
		}
	}
}

func TestFitting(t *testing.T) {
	t.Parallel()
	all := strings.Fields("a b c d")
	if got := fitting(all, 4); len(got) != 4 {
		t.Errorf("%v", got)
	}
	want := []string{"a", "... and 2 more lines, for a taller terminal", "d"}
	if d := cmp.Diff(want, fitting(all, 3)); d != "" {
		t.Error(d)
	}
}

// README.md shows a status as the code writes it, and lists every endpoint.
func TestReadmeShowsTheStatus(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "### status as JSON\n")
	_, after, _ = strings.Cut(after, "```json\n")
	shown, _, _ := strings.Cut(after, "```\n")
	var doc report.Status
	var again bytes.Buffer
	if err := errors.Join(json.Unmarshal([]byte(shown), &doc), report.StatusJSON(&again, doc)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(again.String(), shown); d != "" { // a field that is not ours is gone
		t.Error(d)
	}
}

func TestReadmeListsEveryEndpoint(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(?:GET|POST) ([^`?]+)").FindAllStringSubmatch(string(text), -1) {
		told = append(told, m[1])
	}
	slices.Sort(told)
	h := server.New(newPuppet(), encoders(), server.Options{Trusted: true, Pprof: true, Metrics: http.NotFoundHandler()})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
	var problem report.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("ask for one of "+strings.Join(told, ", "), problem.Next); d != "" {
		t.Errorf("README.md and the agent differ:\n%s", d)
	}
}
