package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
	"golang.org/x/sync/errgroup"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/jobspec/jobspectest"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
)

var benchAgent = struct {
	jobs, changed *int
	window        *time.Duration
}{
	flag.Int("agent.jobs", 10_000, "the agent's benchmarks: how many jobs"),
	flag.Int("agent.changed", 1_000, "... how many files change at once"),
	flag.Duration("agent.window", 20*time.Second, "... how long the idle agent is looked at"),
}

// BenchmarkAgent is the agent as users run it, a process of its own, between job files
// and a Nomad that runs nothing, with a proxy before it that counts. All jobs are in
// sync at first. Times depend on the machine, counts and ratios do not.
//
// idle: nothing moves. core-% is the share of one core that it takes for nothing at
// all, measured over -agent.window; pass-cpu-ms what one full pass costs, measured
// with a short interval; core-%-5m both together at the default interval, to stay
// under 0.5 at 10,000 jobs. requests/pass is to be 1, the list. RSS-MB is to stay under
// 250 with 10,000 jobs, 60 with 1,000.
//
// start: cold is without the state of a run before, requests/job to stay at most 1.1;
// x-check is its time over that of `reconcile check` of the same files. warm is with
// it: warm-requests is to be 1, the list.
//
// oneFile: a job file is saved among all, or somebody breaks one job in Nomad; from the
// save, or the event's arrival at the agent, to the register, less the settle time:
// ms-beyond-settle, to stay under 50; requests counts those until then, the register
// with them, to be at most 5.
//
// checkout: many files change at once, and nothing may be done about it. x-floor is the
// time until all is decided over what it takes at least: `reconcile check` of the same
// files and the server's own dry-runs, one after the other; to stay under 2.
//
// order: the same checkout, carried out twice: misplaced are the registers that came
// elsewhere in the second run than side by side with others allows, to be 0.
func BenchmarkAgent(b *testing.B) {
	program := filepath.Join(b.TempDir(), "reconcile")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	sizes := []int{1000, *benchAgent.jobs}
	if *benchAgent.jobs <= 1000 {
		sizes = sizes[1:]
	}
	for _, n := range sizes {
		b.Run(fmt.Sprintf("jobs=%d", n), func(b *testing.B) {
			s := newAgentStage(b, program, n)
			b.Run("start", s.starts)
			b.Run("idle", s.idle)
			b.Run("oneFile/file", func(b *testing.B) { s.oneFile(b, s.saveOne) })
			b.Run("oneFile/live", func(b *testing.B) { s.oneFile(b, s.breakOne) })
			b.Run("checkout", s.checkout)
			if n <= 1000 || *benchAgent.jobs <= 1000 {
				b.Run("order/concurrency=1", func(b *testing.B) { s.order(b, 1) })
				b.Run("order/concurrency=4", func(b *testing.B) { s.order(b, 4) })
			}
		})
	}
}

// agentStage is a folder and a Nomad with all jobs in sync.
type agentStage struct {
	dir, program, url string
	files             []string // job files
	quick             []string // ... of jobs whose deployments take no time, for what waits for runs
	client            *nomad.Client
	proxy             *agentProxy
	front             *httptest.Server
	turn              int
}

func newAgentStage(b *testing.B, program string, n int) *agentStage {
	server, err := nomadtest.Start(nomadtest.Options{Parse: parseForNomad})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Close() })
	s := &agentStage{dir: b.TempDir(), program: program, url: server.URL()}
	if s.client, err = nomad.New(&api.Config{Address: s.url}); err != nil {
		b.Fatal(err)
	}
	s.proxy = &agentProxy{next: proxyTo(s.url)}
	s.front = httptest.NewServer(s.proxy)
	b.Cleanup(s.front.Close)
	s.write(b, "policies/sudo.policy.hcl", "policy \"no-sudo-env\" {\n  fix = true\n  sudo {\n    preserve_env = false\n  }\n}\n")
	var g errgroup.Group
	g.SetLimit(8)
	for _, f := range jobspectest.Generate(4 * n) {
		// The double asks the checks of services for real: those of 10,000 jobs leave
		// nothing of the machine.
		if f.Sudo || bytes.Contains(f.Bytes, []byte("check {")) || len(s.files) >= n-quickJobs {
			continue
		}
		text := inSync(string(f.Bytes))
		s.files = append(s.files, s.write(b, filepath.Join("jobs", f.Name), text))
		g.Go(func() error { return s.register(f.Name, text) })
	}
	for i := range quickJobs {
		name, text := fmt.Sprintf("quick-%02d.hcl", i), quickJob(i, 0)
		s.quick = append(s.quick, s.write(b, filepath.Join("jobs", name), text))
		g.Go(func() error { return s.register(name, text) })
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	return s
}

var realDriver = regexp.MustCompile(`driver( *)= "(raw_exec|exec|docker|java)"`)

// inSync takes out what would really run, and what this Nomad does not have.
func inSync(text string) string {
	return realDriver.ReplaceAllString(strings.ReplaceAll(text, "${NOMAD_PORT_http}", "8080"), `driver$1= "mock_driver"`)
}

// quickJobs is how many of them there are.
const quickJobs = 40

func quickJob(i, turn int) string {
	return fmt.Sprintf(`job "quick-%02d" {
  update {
    min_healthy_time = "1ms"
  }
  group "main" {
    task "app" {
      driver = "mock_driver"
      config {
        command = "sudo"
        args    = ["app"]
      }
      env {
        TURN = "%d"
      }
    }
  }
}
`, i, turn)
}

func (s *agentStage) write(b *testing.B, name, text string) (path string) {
	path = filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	return path
}

func (s *agentStage) register(name, text string) error {
	f, diags := jobspec.Parse(name, []byte(text), jobspec.Inputs{})
	if diags.HasErrors() {
		return diags
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := s.client.Register(ctx, f.Job, f.Submission, 0)
	return err
}

// settleTime is the default of settle.
const settleTime = 250 * time.Millisecond

func (s *agentStage) configure(b *testing.B, interval time.Duration, fix string, concurrency int) {
	drift := map[string]string{"apply": "correct", "report": "report"}[fix]
	s.write(b, "reconcile.hcl", fmt.Sprintf(`nomad {
  address = %q
}
source "directory" "jobs" {}
sync {
  fix   = %q
  drift = %q
}
limits {
  concurrency = %d
  max_changes = 100000
}
interval = "%s"
`, s.front.URL, fix, drift, concurrency, interval))
}

// agentProxy counts what comes by.
type agentProxy struct {
	next http.Handler

	mu      sync.Mutex
	seen    []agentRequest
	told    map[string]time.Time // when the stream first named a job
	open    int
	busy    time.Time // when the last request ended that is no list
	watched string
	news    chan struct{} // a register has come; may be nil
}

type agentRequest struct {
	kind string
	job  string // of a register
	at   time.Time
	took time.Duration
}

// ServeHTTP passes on, the stream line by line.
func (p *agentProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := agentRequest{kind: kindOf(r), at: time.Now()}
	if strings.HasPrefix(req.kind, soakStream) {
		p.next.ServeHTTP(&streamWriter{w, p}, r)
		return
	}
	if req.kind == "PUT jobs" {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		var sent struct{ Job struct{ ID string } }
		_ = json.Unmarshal(body, &sent) // what is not one has no job
		req.job = sent.Job.ID
	}
	p.mu.Lock()
	n, news := len(p.seen), p.news
	p.seen = append(p.seen, req)
	p.open++
	p.mu.Unlock()
	if req.job != "" && news != nil {
		news <- struct{}{}
	}
	defer p.ended(req, n) // also where the agent has gone away
	p.next.ServeHTTP(w, r)
}

func (p *agentProxy) ended(req agentRequest, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open--; req.kind != "GET jobs" {
		p.busy = time.Now()
	}
	if n < len(p.seen) && p.seen[n].at.Equal(req.at) {
		p.seen[n].took = time.Since(req.at)
	}
}

// streamWriter notes when the event about the watched job goes by.
type streamWriter struct {
	http.ResponseWriter
	proxy *agentProxy
}

// Write passes on.
func (w *streamWriter) Write(data []byte) (int, error) {
	p := w.proxy
	p.mu.Lock()
	if id := p.watched; id != "" && bytes.Contains(data, []byte(strconv.Quote(id))) {
		if _, known := p.told[id]; !known {
			p.told[id] = time.Now()
		}
	}
	p.mu.Unlock()
	return w.ResponseWriter.Write(data)
}

// Flush sends what was written.
func (w *streamWriter) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

// last is when the last request ended that is no list.
func (p *agentProxy) last() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busy
}

func (p *agentProxy) watch(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched = id
}

func (p *agentProxy) quiet(d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open == 0 && time.Since(p.busy) > d
}

func (p *agentProxy) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen, p.told = nil, map[string]time.Time{}
}

// requests are those that were seen, without the stream and the check before it.
func (p *agentProxy) requests() []agentRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.seen), func(r agentRequest) bool { return r.kind == "GET deployments" })
}

func tallied(requests []agentRequest) string {
	counts := map[string]int{}
	for _, r := range requests {
		counts[r.kind]++
	}
	return fmt.Sprint(counts)
}

// agentProcess is the agent under way.
type agentProcess struct {
	cmd   *exec.Cmd
	began time.Time
	lines chan string
	odd   []string // what the first pass has found not in sync
	b     *testing.B
}

func (s *agentStage) start(b *testing.B) *agentProcess {
	p := &agentProcess{cmd: exec.Command(s.program, "agent"), lines: make(chan string, 1<<16), b: b}
	p.cmd.Dir = s.dir
	out, err := p.cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.cmd.Process.Kill() }) // where the benchmark has failed
	go func() {
		defer close(p.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			p.lines <- scan.Text()
		}
	}()
	return p
}

// await reads the log until a line has all the words.
func (p *agentProcess) await(words ...string) {
	p.b.Helper()
	var last string
	for end := time.After(time.Minute); ; {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.b.Fatalf("the agent has ended; its last line: %s", last)
			}
			last = line
			if strings.Contains(line, "msg=decided") {
				p.odd = append(p.odd, line)
			}
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
				return
			}
		case <-end:
			p.b.Fatalf("the agent does not say %q; its last line: %s", words, last)
		}
	}
}

func (p *agentProcess) stop() {
	p.b.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	for range p.lines {
	}
	if err := p.cmd.Wait(); err != nil {
		p.b.Fatal(err)
	}
}

// cpu is what the process has taken so far.
func (p *agentProcess) cpu() time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.b.Skip("no /proc: ", err)
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / clockTicks
}

// clockTicks is what /proc counts in, on every Linux that Go runs on.
const clockTicks = 100

// resident is the process's memory in MB.
func (p *agentProcess) resident() float64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	kB, _ := strconv.Atoi(strings.Fields(rest)[0])
	return float64(kB) * 1024 / 1e6
}

// calm waits until the agent has asked Nomad nothing for a while but for its list.
func (s *agentStage) calm(p *agentProcess) {
	p.b.Helper()
	for end := time.Now().Add(5 * time.Minute); !s.proxy.quiet(calmFor); {
		if time.Now().After(end) {
			p.b.Fatalf("the agent goes on asking, %d requests are under way: %s", s.proxy.open, tallied(s.proxy.seen))
		}
		time.Sleep(calmFor / 10) // nothing tells of what does not happen
	}
}

const calmFor = 1500 * time.Millisecond

const firstPass = `msg="first pass done"`

func (s *agentStage) starts(b *testing.B) {
	s.configure(b, 5*time.Minute, "report", 4)
	var cold, warm, check []time.Duration
	var coldRequests, warmRequests []agentRequest
	var odd []string
	for b.Loop() {
		if err := os.RemoveAll(filepath.Join(s.dir, ".reconcile")); err != nil {
			b.Fatal(err)
		}
		for _, warmly := range []bool{false, true} {
			s.proxy.forget()
			p := s.start(b)
			p.await(firstPass)
			took, requests := time.Since(p.began), s.proxy.requests()
			if warmly {
				warm, warmRequests = append(warm, took), requests
			} else {
				cold, coldRequests = append(cold, took), requests
			}
			s.calm(p)
			p.stop()
			odd = p.odd
		}
		check = append(check, s.check(b))
	}
	b.ReportMetric(0, "ns/op") // of all together: says nothing
	b.ReportMetric(float64(len(coldRequests))/float64(len(s.files)+quickJobs), "requests/job")
	b.ReportMetric(middle(cold).Seconds()/middle(check).Seconds(), "x-check")
	b.ReportMetric(float64(len(warmRequests)), "warm-requests")
	b.ReportMetric(float64(middle(warm).Milliseconds()), "warm-ms")
	b.Logf("cold %v, %s\nwarm %v, %s\ncheck %v; medians of %d", middle(cold), tallied(coldRequests), middle(warm), tallied(warmRequests), middle(check), len(cold))
	if len(odd) > 0 {
		b.Logf("%d are not in sync, such as %s", len(odd), odd[0])
	}
}

func middle(all []time.Duration) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// check is how long `reconcile check` takes for some files, or all.
func (s *agentStage) check(b *testing.B, files ...string) time.Duration {
	cmd := exec.Command(s.program, append([]string{"check"}, files...)...)
	cmd.Dir = s.dir
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() != exitDenied {
		b.Fatalf("%v\n%s", err, out)
	}
	return time.Since(start)
}

func (s *agentStage) idle(b *testing.B) {
	var share, pass, memory []float64
	var perPass float64
	var seen string
	for b.Loop() {
		s.configure(b, 5*time.Minute, "apply", 4)
		p := s.start(b)
		p.await(firstPass)
		s.calm(p)
		took := s.window(p)
		share = append(share, 100*took.Seconds()/benchAgent.window.Seconds())
		memory = append(memory, p.resident())
		p.stop()

		s.configure(b, 2*time.Second, "apply", 4)
		p = s.start(b)
		p.await(firstPass)
		s.calm(p)
		s.proxy.forget()
		busy := s.window(p)
		requests := s.proxy.requests()
		passes := 0
		for _, r := range requests {
			if r.kind == "GET jobs" {
				passes++
			}
		}
		p.stop()
		pass = append(pass, 1000*max(busy-took, 0).Seconds()/float64(max(passes, 1)))
		perPass, seen = float64(len(requests))/float64(max(passes, 1)), tallied(requests)
	}
	for _, list := range [][]float64{share, pass, memory} {
		slices.Sort(list)
	}
	i := len(share) / 2
	b.ReportMetric(0, "ns/op") // of the window: says nothing
	b.ReportMetric(share[i], "core-%")
	b.ReportMetric(pass[i], "pass-cpu-ms")
	b.ReportMetric(share[i]+pass[i]/1000/300*100, "core-%-5m")
	b.ReportMetric(perPass, "requests/pass")
	b.ReportMetric(memory[i], "RSS-MB")
	b.Logf("passes: %s; RSS %v MB", seen, memory)
}

// window is the CPU time that the process takes meanwhile.
func (s *agentStage) window(p *agentProcess) time.Duration {
	before := p.cpu()
	time.Sleep(*benchAgent.window)
	return p.cpu() - before
}

// oneLaps: one file says little.
const oneLaps = 10

func (s *agentStage) oneFile(b *testing.B, move func(b *testing.B) (id string, began func() time.Time)) {
	s.configure(b, 5*time.Minute, "apply", 4)
	p := s.start(b)
	defer p.stop()
	p.await(firstPass)
	s.calm(p)
	var took []time.Duration
	var requests []float64
	var last []agentRequest
	for b.Loop() {
		for range oneLaps {
			s.proxy.forget()
			news := s.expect()
			id, began := move(b)
			<-news
			all := s.proxy.requests()
			at := slices.IndexFunc(all, func(r agentRequest) bool { return r.job == id })
			took = append(took, all[at].at.Sub(began()))
			last = all[:at+1]
			requests = append(requests, float64(len(last)))
			p.await("msg=run ", "job="+id+" ")
			s.calm(p)
		}
	}
	slices.Sort(requests)
	b.ReportMetric(0, "ns/op") // with all that comes after: says nothing
	b.ReportMetric(float64(middle(took).Microseconds())/1000, "ms-beyond-settle")
	b.ReportMetric(requests[len(requests)/2], "requests")
	b.Logf("%v beyond settle (least %v, most %v); the last: %s", middle(took), slices.Min(took), slices.Max(took), tallied(last))
}

// expect is told of the next register.
func (s *agentStage) expect() <-chan struct{} {
	news := make(chan struct{}, 1<<16)
	s.proxy.mu.Lock()
	defer s.proxy.mu.Unlock()
	s.proxy.news = news
	return news
}

var jobPriority = regexp.MustCompile(`(?m)^[ \t]+priority *=[^\n]*\n`)

// moved is a text of a file that evaluates to something else.
func (s *agentStage) moved(b *testing.B, path string) (id, text string) {
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	s.turn++
	f, diags := jobspec.Parse(path, data, jobspec.Inputs{})
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	out := jobPriority.ReplaceAllString(string(data), "")
	line := fmt.Sprintf("job %q {", *f.Job.ID)
	if !strings.Contains(out, line) {
		b.Fatalf("%s has no line %s", path, line)
	}
	return *f.Job.ID, strings.Replace(out, line, fmt.Sprintf("%s\n  priority = %d\n", line, 2+s.turn%95), 1)
}

func (s *agentStage) saveOne(b *testing.B) (string, func() time.Time) {
	s.turn++
	i := s.turn % quickJobs
	if err := os.WriteFile(s.quick[i], []byte(quickJob(i, s.turn)), 0o644); err != nil {
		b.Fatal(err)
	}
	saved := time.Now()
	return fmt.Sprintf("quick-%02d", i), func() time.Time { return saved.Add(settleTime) }
}

// breakOne registers a job with what the policy forbids, past the agent.
func (s *agentStage) breakOne(b *testing.B) (string, func() time.Time) {
	s.turn++
	id := job.ID{Namespace: job.DefaultNamespace, Name: fmt.Sprintf("quick-%02d", s.turn%quickJobs)}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	live, err := s.client.Job(ctx, id)
	if err != nil {
		b.Fatal(err)
	}
	s.proxy.watch(id.Name)
	live.TaskGroups[0].Tasks[0].Config["args"] = []any{"-E", "app"}
	if _, err := s.client.Register(ctx, live, nil, *live.JobModifyIndex); err != nil {
		b.Fatal(err)
	}
	return id.Name, func() time.Time {
		s.proxy.mu.Lock()
		defer s.proxy.mu.Unlock()
		return s.proxy.told[id.Name]
	}
}

// change writes many files, as a checkout does.
func (s *agentStage) change(b *testing.B, paths []string) {
	texts := make([]string, len(paths))
	for i, path := range paths {
		_, texts[i] = s.moved(b, path)
	}
	for i, path := range paths {
		if err := os.WriteFile(path, []byte(texts[i]), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

func (s *agentStage) some(n int) []string {
	n = min(n, len(s.files))
	out := make([]string, n)
	for i := range out {
		out[i] = s.files[i*len(s.files)/n]
	}
	return out
}

func (s *agentStage) checkout(b *testing.B) {
	s.configure(b, 5*time.Minute, "report", 4)
	p := s.start(b)
	p.await(firstPass)
	s.calm(p)
	paths := s.some(*benchAgent.changed)
	for _, path := range paths {
		old, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		defer os.WriteFile(path, old, 0o644) // in sync for what comes after
	}
	var took, floor, plans, check []time.Duration
	for b.Loop() {
		s.proxy.forget()
		s.change(b, paths)
		saved := time.Now()
		took = append(took, s.decided(p, saved)-settleTime)
		var planned time.Duration
		for _, r := range s.proxy.requests() {
			if r.kind == "PUT job/*/plan" {
				planned += r.took
			}
		}
		checked := s.check(b, paths...)
		plans, check, floor = append(plans, planned), append(check, checked), append(floor, planned+checked)
		s.calm(p)
	}
	seen := tallied(s.proxy.requests())
	p.stop()
	b.ReportMetric(0, "ns/op") // with the pauses: says nothing
	b.ReportMetric(middle(took).Seconds()/middle(floor).Seconds(), "x-floor")
	b.ReportMetric(middle(took).Seconds()/middle(check).Seconds(), "x-check")
	b.Logf("%d files: decided after %v; check %v, Nomad's dry-runs %v in all; the last: %s", len(paths), middle(took), middle(check), middle(plans), seen)
}

// decided waits until the agent has asked all that it wants to know after a moment, and
// says how long that took.
func (s *agentStage) decided(p *agentProcess, since time.Time) time.Duration {
	p.b.Helper()
	for end := time.Now().Add(5 * time.Minute); !s.proxy.last().After(since) || !s.proxy.quiet(calmFor); {
		if time.Now().After(end) {
			p.b.Fatal("the agent does not come to an end")
		}
		time.Sleep(calmFor / 10) // nothing tells of what does not happen
	}
	return s.proxy.last().Sub(since)
}

func (s *agentStage) order(b *testing.B, concurrency int) {
	s.configure(b, 5*time.Minute, "apply", concurrency)
	p := s.start(b)
	p.await(firstPass)
	defer p.stop()
	misplaced := 0
	for b.Loop() {
		first, second := s.registers(b, p), s.registers(b, p)
		for i, id := range first {
			if at := slices.Index(second, id); at < 0 || max(at-i, i-at) >= concurrency {
				misplaced++
			}
		}
	}
	b.ReportMetric(0, "ns/op") // says nothing
	b.ReportMetric(float64(misplaced), "misplaced")
}

// registers has all files of quick jobs changed, and gives the jobs in the order in
// which they were registered then.
func (s *agentStage) registers(b *testing.B, p *agentProcess) []string {
	s.calm(p)
	s.proxy.forget()
	news := s.expect()
	s.turn++
	for i, path := range s.quick {
		if err := os.WriteFile(path, []byte(quickJob(i, s.turn)), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	for range s.quick {
		<-news
	}
	var ids []string
	for _, r := range s.proxy.requests() {
		if r.job != "" {
			ids = append(ids, r.job)
		}
	}
	return ids
}
