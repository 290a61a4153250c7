package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/rogpeppe/go-internal/testscript"

	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/script")

// TestMain makes this binary answer to the name reconcile too, so that scripts and
// the kill test run the real program in a process of its own.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "6") // the flag is there; scripts wait more than they work
	testscript.Main(m, map[string]func(){"reconcile": main})
}

// The scripts specify the command line, one or more for each verb. Beside
// testscript's own commands they have those of scriptCommands.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		Cmds:                scriptCommands,
		Setup:               setUpScript,
		Condition:           condition,
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// condition knows [tmpfs]: this process may mount a small disk of its own.
func condition(name string) (bool, error) {
	if name != "tmpfs" {
		return false, fmt.Errorf("there is no condition %q", name)
	}
	return exec.Command("unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "none", "/mnt").Run() == nil, nil
}

// patience is how long a script waits for what must come.
const patience = 20 * time.Second

// scriptCommands, in the order in which a script meets them:
//
//	world                      the web job, a policy, a configuration; a Nomad with a namespace prod at NOMAD_ADDR
//	exits CODE PROGRAM ARG...  runs it; cmp, stdout and stderr see its normalised output
//	begin NAME PROGRAM ARG...  starts it in the background; output to NAME.out and NAME.err
//	begin -tty NAME ...        ... on a terminal, all output to NAME.out
//	type NAME TEXT             types a line on its terminal
//	signal INT|TERM|KILL NAME  sends a signal
//	ends CODE NAME             waits for its end; output as with exits
//	await FILE REGEXP          waits until the file has such a line
//	await-request METHOD REGEXP  waits until Nomad gets such a request, since the last begin
//	await-live JOB REGEXP      waits until live JOB prints such a line
//	job-run FILE [VAR=VALUE]   registers a job file and waits, as nomad job run does
//	job-put FILE SOURCE [FORMAT]  registers a job file with another source; "-" for none
//	job-stop JOB               stops a job, as an operator does
//	live JOB                   prints the live job in a few lines
//	submission JOB             prints the source that Nomad keeps with it
//	fault METHOD PATH KEY=VALUE...  makes Nomad misbehave (status, text, delay, times)
//	mend                       ends all faults
//	edit FILE OLD NEW          replaces a text that must be there
//	day VAR N                  sets VAR to the day in N days, in UTC
//	newest-run VAR             sets VAR to the ID of the newest run
//	closed                     fails if a run is open
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"world":         never(cmdWorld),
	"exits":         never(cmdExits),
	"begin":         never(cmdBegin),
	"type":          never(cmdType),
	"signal":        never(cmdSignal),
	"ends":          never(cmdEnds),
	"await":         never(cmdAwait),
	"await-live":    never(cmdAwaitLive),
	"await-request": never(cmdAwaitRequest),
	"job-run":       never(cmdJobRun),
	"job-put":       never(cmdJobPut),
	"job-stop":      never(cmdJobStop),
	"live":          never(cmdLive),
	"submission":    never(cmdSubmission),
	"fault":         never(cmdFault),
	"mend":          never(cmdMend),
	"edit":          never(cmdEdit),
	"newest-run":    never(cmdNewestRun),
	"day":           never(cmdDay),
	"closed":        never(cmdClosed),
}

// never: none of these commands can be negated with "!".
func never(f func(*testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command cannot be negated")
		}
		f(ts, args)
	}
}

// scene is what one script works with.
type scene struct {
	work      string
	server    *nomadtest.Server
	front     *front
	client    *nomad.Client
	faults    []func()
	processes map[string]*process
	runs      []string // IDs, in the order in which they were first shown
	ctx       context.Context
}

type sceneKey struct{}

func sceneOf(ts *testscript.TestScript) *scene { return ts.Value(sceneKey{}).(*scene) }

func setUpScript(env *testscript.Env) error {
	ctx, cancel := context.WithCancel(context.Background())
	s := &scene{work: env.WorkDir, processes: map[string]*process{}, ctx: ctx}
	env.Values[sceneKey{}] = s
	env.Setenv("USER", "ana")
	env.Setenv("NOMAD_ADDR", "http://127.0.0.1:1") // nobody, before a script asks for its world
	env.Defer(func() {
		cancel()
		for _, p := range s.processes {
			p.kill()
		}
		if s.server != nil {
			s.front.server.Close()
			s.server.Close()
		}
	})
	return nil
}

func cmdWorld(ts *testscript.TestScript, _ []string) {
	s := sceneOf(ts)
	ts.Check(copyWorld(s.work))
	server, err := nomadtest.Start(nomadtest.Options{PATH: filepath.Join(s.work, "bin"), Namespaces: []string{"prod"}, Parse: parseForNomad})
	ts.Check(err)
	s.server = server
	s.client, err = nomad.New(&api.Config{Address: server.URL()})
	ts.Check(err)
	s.front = newFront(server.URL())
	ts.Setenv("NOMAD_ADDR", s.front.server.URL)
}

// front stands before Nomad and remembers the requests of the programs.
type front struct {
	server *httptest.Server
	nomad  http.Handler
	mu     sync.Mutex
	seen   []string // METHOD PATH
}

func newFront(nomad string) *front {
	f := &front{nomad: proxyTo(nomad)}
	f.server = httptest.NewServer(f)
	return f
}

// proxyTo passes everything on as it comes; what Nomad cuts is cut.
func proxyTo(address string) http.Handler {
	to, _ := url.Parse(address) // of a server of ours
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.FlushInterval = -1
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	return proxy
}

// ServeHTTP remembers and passes on.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen = append(f.seen, r.Method+" "+r.URL.Path)
	f.mu.Unlock()
	f.nomad.ServeHTTP(w, r)
}

// came reports whether there was such a request since forget.
func (f *front) came(request *regexp.Regexp) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.seen, request.MatchString)
}

func (f *front) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = nil
}

func cmdAwaitRequest(ts *testscript.TestScript, args []string) {
	request, err := regexp.Compile("^" + strings.Join(args, " ") + "$")
	ts.Check(err)
	until(ts, request.String(), func() bool { return sceneOf(ts).front.came(request) })
}

// copyWorld lays testdata/world out in a folder, beside what is there already.
func copyWorld(to string) error {
	from := os.DirFS(filepath.Join("testdata", "world"))
	for _, name := range []string{"reconcile.hcl", "jobs/web.hcl", "policies/sudo.policy.hcl", "bin/sudo", "bin/app"} {
		path := filepath.Join(to, name)
		if _, err := os.Lstat(path); err == nil {
			if filepath.Dir(name) == "bin" {
				err = os.Chmod(path, 0o755)
			}
			if err != nil {
				return err
			}
			continue // the script brings its own
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if filepath.Dir(name) == "bin" {
			mode = 0o755
		}
		if err := os.WriteFile(path, data, mode); err != nil {
			return err
		}
	}
	return nil
}

func cmdExits(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	sceneOf(ts).show(ts, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	wantCode(ts, args[0], code)
}

func wantCode(ts *testscript.TestScript, want string, got int) {
	if want != strconv.Itoa(got) {
		ts.Fatalf("it exited with %d, want %s", got, want)
	}
}

func (s *scene) show(ts *testscript.TestScript, stdout, stderr string) {
	fmt.Fprint(ts.Stdout(), s.normal(stdout))
	fmt.Fprint(ts.Stderr(), s.normal(stderr))
}

// varying is what differs from run to run, and what stands for it.
var varying = []struct {
	is *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`\.backup\.\d{8}_\d{6}`), ".backup.TIME"},
	{regexp.MustCompile(`allocation [0-9a-f]{8}\b`), "allocation ALLOC"},
	{regexp.MustCompile(`(Failed due to unhealthy allocations|allocation ALLOC is unhealthy)`), "UNHEALTHY"}, // what Nomad tells first
	{regexp.MustCompile(`\.web\.hcl\d+`), ".web.hclN"},
	{regexp.MustCompile(`\.new/\w+\.json`), ".new/FILE"}, // the first that has no room
	{regexp.MustCompile(`127\.0\.0\.1:\d{2,}`), "ADDR"},
	{regexp.MustCompile(`took [0-9a-zµ.]+`), "took TIME"},
	{regexp.MustCompile(` (ok|failed|skipped|cancelled) \([0-9a-zµ.]+\)`), " $1"},
	{regexp.MustCompile(`"duration_ms": \d+`), `"duration_ms": 0`},
	{regexp.MustCompile(`"(started|ended|since|until|looked|passed|loaded)": "[^"]+"`), `"$1": "TIME"`},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC(, (just now|\d+[smhd] ago))?`), "TIME"},
	{regexp.MustCompile(`"policies": "[0-9a-f]{64}"`), `"policies": "REVISION"`},
	{regexp.MustCompile(`policies( +)[0-9a-f]{64}`), "policies${1}REVISION"},
	{regexp.MustCompile(`policies revision [0-9a-f]{8}\b`), "policies revision REVISION"},
	{regexp.MustCompile(`(?m)^time=\S+ `), ""},
	{regexp.MustCompile(`(?m) took=\S+$`), " took=TIME"},
	{regexp.MustCompile(`msg=loaded revision=\w+`), "msg=loaded revision=REVISION"},
	{regexp.MustCompile(`(?m)(just now|\d+[smhd] ago)( +|$)`), "AGO  "},
	{regexp.MustCompile(`WHEN +`), "WHEN  "},
	{regexp.MustCompile(`index \d+, now \d+`), "index N, now M"},
	{regexp.MustCompile(`by process \d+`), "by process PID"},
	{regexp.MustCompile(`go1\.[^ "]+`), "GO"},
	{regexp.MustCompile(` (linux|darwin)/(amd64|arm64)`), " OS/ARCH"},
	{regexp.MustCompile(`\x1b\[[0-9;]*m`), ""},
	{regexp.MustCompile(` +(\n|$)`), "$1"},
}

var runID = regexp.MustCompile(`\d{8}-\d{6}-[\w.-]+?-[0-9a-f]{4}\b`)

// normal is text without what differs from run to run. Runs are RUN1, RUN2 ... in
// the order in which the script shows them.
func (s *scene) normal(text string) string {
	text = runID.ReplaceAllStringFunc(text, func(id string) string {
		i := slices.Index(s.runs, id)
		if i < 0 {
			i, s.runs = len(s.runs), append(s.runs, id)
		}
		return fmt.Sprintf("RUN%d", i+1)
	})
	text = strings.ReplaceAll(text, s.work, "$WORK")
	for _, v := range varying {
		text = v.is.ReplaceAllString(text, v.by)
	}
	return text
}

// process is a program in the background.
type process struct {
	cmd      *exec.Cmd
	out, err string // files
	terminal *os.File
	done     chan struct{}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func cmdBegin(ts *testscript.TestScript, args []string) {
	tty := len(args) > 0 && args[0] == "-tty"
	if tty {
		args = args[1:]
	}
	if len(args) < 2 {
		ts.Fatalf("usage: begin [-tty] NAME PROGRAM ARG...")
	}
	s := sceneOf(ts)
	p := &process{out: ts.MkAbs(args[0] + ".out"), err: ts.MkAbs(args[0] + ".err"), done: make(chan struct{})}
	if s.front != nil {
		s.front.forget()
	}
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	p.cmd = exec.Command(path, args[2:]...)
	p.cmd.Dir, p.cmd.Env = ts.MkAbs("."), environment(ts)
	if tty {
		ts.Check(p.startOnTerminal())
	} else {
		ts.Check(p.start())
	}
	s.processes[args[0]] = p
}

// environment is the script's: what the programs here look at.
func environment(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "USER", "NOMAD_ADDR", "NOMAD_TOKEN", "NO_COLOR", "TERM", "GOCOVERDIR"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func (p *process) start() error {
	stdout, err := os.Create(p.out)
	if err != nil {
		return err
	}
	defer stdout.Close()
	stderr, err := os.Create(p.err)
	if err != nil {
		return err
	}
	defer stderr.Close()
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = p.cmd.Wait() // ends looks at the exit code
		close(p.done)
	}()
	return nil
}

func (s *scene) process(ts *testscript.TestScript, name string) *process {
	p := s.processes[name]
	if p == nil {
		ts.Fatalf("nothing was begun as %s", name)
	}
	return p
}

func cmdType(ts *testscript.TestScript, args []string) {
	p := sceneOf(ts).process(ts, args[0])
	_, err := p.terminal.WriteString(args[1] + "\n")
	ts.Check(err)
}

func cmdSignal(ts *testscript.TestScript, args []string) {
	sig, ok := map[string]os.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}[args[0]]
	if !ok {
		ts.Fatalf("no signal %s", args[0])
	}
	ts.Check(sceneOf(ts).process(ts, args[1]).cmd.Process.Signal(sig))
}

func cmdEnds(ts *testscript.TestScript, args []string) {
	s := sceneOf(ts)
	p := s.process(ts, args[1])
	select {
	case <-p.done:
	case <-time.After(patience):
		ts.Fatalf("%s has not ended", args[1])
	}
	stdout, _ := os.ReadFile(p.out)
	stderr, _ := os.ReadFile(p.err) // there is none on a terminal
	ts.Logf("[stdout]\n%s[stderr]\n%s", stdout, stderr)
	s.show(ts, string(stdout), string(stderr))
	wantCode(ts, args[0], p.cmd.ProcessState.ExitCode())
	delete(s.processes, args[1])
}

// until asks again and again whether something has come.
func until(ts *testscript.TestScript, what string, come func() bool) {
	for end := time.Now().Add(patience); !come(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("%s has not come", what)
		}
	}
}

func cmdAwait(ts *testscript.TestScript, args []string) {
	want, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var data []byte
	defer func() { ts.Logf("[%s]\n%s", args[0], data) }()
	until(ts, args[1], func() bool {
		data, _ = os.ReadFile(ts.MkAbs(args[0]))
		return want.Match(data)
	})
}

func cmdAwaitLive(ts *testscript.TestScript, args []string) {
	want, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	text := ""
	defer func() { ts.Logf("%s", text) }()
	until(ts, args[1], func() bool {
		text, err = sceneOf(ts).live(args[0])
		return err == nil && want.MatchString(text)
	})
}

func jobID(name string) job.ID {
	name, ns, _ := strings.Cut(name, "@")
	if ns == "" {
		ns = job.DefaultNamespace
	}
	return job.ID{Namespace: ns, Name: name}
}

func cmdJobRun(ts *testscript.TestScript, args []string) {
	vars := map[string]string{}
	for _, v := range args[1:] {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	f, diags := jobspec.Parse(args[0], []byte(ts.ReadFile(args[0])), jobspec.Inputs{Vars: vars})
	if diags.HasErrors() {
		ts.Fatalf("%v", diags)
	}
	s := sceneOf(ts)
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	ts.Check(jobRun(ctx, s.client, f.Job, f.Submission))
}

func cmdJobPut(ts *testscript.TestScript, args []string) {
	f, diags := jobspec.Parse(args[0], []byte(ts.ReadFile(args[0])), jobspec.Inputs{})
	if diags.HasErrors() {
		ts.Fatalf("%v", diags)
	}
	var sub *api.JobSubmission
	if args[1] != "-" {
		sub = &api.JobSubmission{Source: ts.ReadFile(args[1]), Format: "hcl2"}
	}
	if len(args) > 2 {
		sub.Format = args[2]
	}
	s := sceneOf(ts)
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	ts.Check(jobRun(ctx, s.client, f.Job, sub))
}

// jobRun registers a job and waits until its deployment has ended and its
// allocations are what they will be.
func jobRun(ctx context.Context, c *nomad.Client, j *api.Job, sub *api.JobSubmission) error {
	id := job.IDOf(j)
	var index uint64
	if live, err := c.Job(ctx, id); err == nil {
		index = *live.JobModifyIndex
	}
	done, err := c.Register(ctx, j, sub, index)
	if err != nil || done.EvalID == "" {
		return err
	}
	if t := j.Type; t != nil && *t != api.JobTypeService {
		return nil // no deployment to wait for
	}
	var at uint64
	for {
		deployments, next, err := c.Deployments(ctx, id, at)
		if err != nil {
			return err
		}
		for _, d := range deployments {
			if d.JobSpecModifyIndex == done.JobModifyIndex && d.Status != api.DeploymentStatusRunning {
				return nil
			}
		}
		at = next
	}
}

func cmdJobStop(ts *testscript.TestScript, args []string) {
	s := sceneOf(ts)
	live, err := s.client.Job(s.ctx, jobID(args[0]))
	ts.Check(err)
	_, err = s.client.Stop(s.ctx, live, *live.JobModifyIndex)
	ts.Check(err)
	until(ts, "the end of its allocations", func() bool {
		text, err := s.live(args[0])
		return err == nil && !strings.Contains(text, "allocation: running")
	})
}

func cmdLive(ts *testscript.TestScript, args []string) {
	text, err := sceneOf(ts).live(args[0])
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), text)
}

// live tells of the first task of a live job.
func (s *scene) live(name string) (string, error) {
	j, err := s.client.Job(s.ctx, jobID(name))
	if err != nil {
		return "", err
	}
	allocs, _, err := s.client.Allocations(s.ctx, jobID(name), 0)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "version %d\n", *j.Version)
	if j.Stop != nil && *j.Stop {
		fmt.Fprintln(&b, "stopped")
	}
	task := j.TaskGroups[0].Tasks[0]
	fmt.Fprintf(&b, "args: %v\nenv: %v\n", task.Config["args"], task.Env)
	for _, a := range allocs {
		if a.JobVersion == *j.Version {
			fmt.Fprintf(&b, "allocation: %s\n", a.ClientStatus)
		}
	}
	return b.String(), nil
}

func cmdSubmission(ts *testscript.TestScript, args []string) {
	s := sceneOf(ts)
	j, err := s.client.Job(s.ctx, jobID(args[0]))
	ts.Check(err)
	sub, err := s.client.Submission(s.ctx, jobID(args[0]), *j.Version)
	ts.Check(err)
	if sub == nil {
		ts.Fatalf("Nomad keeps no source with %s", args[0])
	}
	fmt.Fprint(ts.Stdout(), sub.Source)
}

func cmdFault(ts *testscript.TestScript, args []string) {
	f := nomadtest.Fault{Method: args[0], Path: args[1]}
	for _, kv := range args[2:] {
		var err error
		switch key, value, _ := strings.Cut(kv, "="); key {
		case "status":
			f.Status, err = strconv.Atoi(value)
		case "text":
			f.Text = value
		case "delay":
			f.Delay, err = time.ParseDuration(value)
		case "times":
			f.Times, err = strconv.Atoi(value)
		default:
			ts.Fatalf("a fault has no %s", key)
		}
		ts.Check(err)
	}
	s := sceneOf(ts)
	s.faults = append(s.faults, s.server.Fault(f))
}

func cmdMend(ts *testscript.TestScript, _ []string) {
	s := sceneOf(ts)
	for _, remove := range s.faults {
		remove()
	}
	s.faults = nil
}

func cmdEdit(ts *testscript.TestScript, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	if !bytes.Contains(data, []byte(args[1])) {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(path, bytes.Replace(data, []byte(args[1]), []byte(args[2]), 1), 0o644))
}

func (s *scene) history(ts *testscript.TestScript) []history.Run {
	store, err := history.Open(filepath.Join(s.work, ".reconcile"), 20, time.Now)
	ts.Check(err)
	runs, err := store.Runs(nil)
	ts.Check(err)
	return runs
}

func cmdDay(ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Setenv(args[0], time.Now().UTC().AddDate(0, 0, n).Format(time.DateOnly))
}

func cmdNewestRun(ts *testscript.TestScript, args []string) {
	runs := sceneOf(ts).history(ts)
	if len(runs) == 0 {
		ts.Fatalf("there are no runs")
	}
	ts.Setenv(args[0], runs[0].ID)
}

func cmdClosed(ts *testscript.TestScript, _ []string) {
	for _, r := range sceneOf(ts).history(ts) {
		if r.Open {
			ts.Fatalf("run %s is open", r.ID)
		}
	}
}
