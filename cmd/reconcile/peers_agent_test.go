package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
)

var benchPeersJobs = flag.Int("peers.jobs", 200, "BenchmarkPeersAgent: how many jobs")

// BenchmarkPeersAgent compares what the agent asks of Nomad with what a peer asks,
// gerrowadat/nomad-gitops, which is the closest. Both have their own defaults, but
// that they may apply changes, and each has for itself the same nomadtest with the
// same jobs, in sync, and a proxy before it that counts all that comes, streams too.
// `make bench-peers-agent` installs the peer; BENCH_PEER names its program. Where that
// is not there, the peer's side is skipped and ours is measured alone.
//
// requests/full-cycle is the first look at everything, without anything remembered.
//
// requests/idle-cycle is what comes in one interval, its own, in which nothing moves: 5
// minutes with us, one with the peer; requests/idle-hour is that for an hour, as the two
// intervals differ.
//
// requests/minute-after is what comes in the minute after one file has changed, the
// register among it. The peer is told of the commit by its webhook, the fastest way
// that it has: without one it would see most commits after that minute, as it asks git
// every 5 minutes.
//
// ms-to-register is from the save, with the peer from the commit's end, just before its
// webhook is called, until the register comes; ours has settle in it. Median of five.
func BenchmarkPeersAgent(b *testing.B) {
	peer := os.Getenv("BENCH_PEER")
	if peer == "" {
		b.Skip("BENCH_PEER names no peer; `make bench-peers-agent` installs one")
	}
	s := newPeerStage(b)
	b.Run("ours", func(b *testing.B) { s.measure(b, s.ours(b)) })
	b.Run("peer", func(b *testing.B) {
		if _, err := os.Stat(peer); err != nil {
			b.Skipf("no peer, nothing to compare with: %v", err)
		}
		s.measure(b, s.peer(b, peer))
	})
}

// peerStage is a folder of job files, a git repository too, and a Nomad in sync with it.
type peerStage struct {
	dir   string // jobs/ in it is the repository
	files []string
	turn  int
	proxy *peerProxy
	front *httptest.Server
}

func newPeerStage(b *testing.B) *peerStage {
	server, err := nomadtest.Start(nomadtest.Options{Parse: parseForNomad})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Close() })
	client, err := nomad.New(&api.Config{Address: server.URL()})
	if err != nil {
		b.Fatal(err)
	}
	s := &peerStage{dir: b.TempDir(), proxy: &peerProxy{
		next: proxyTo(server.URL()), token: rand.Text(), came: make(chan struct{}, 1), strangers: map[string]int{},
	}}
	s.front = httptest.NewServer(s.proxy)
	b.Cleanup(s.front.Close)
	registrar := &agentStage{client: client}
	for i := range *benchPeersJobs {
		name := fmt.Sprintf("app-%04d", i)
		s.files = append(s.files, name)
		s.write(b, "jobs/"+name+".hcl", peerJob(name, 0))
		if err := registrar.register(name, peerJob(name, 0)); err != nil {
			b.Fatal(err)
		}
	}
	s.git(b, "init", "--quiet", "--initial-branch=main")
	s.commit(b)
	return s
}

// peerJob starts at once and is healthy soon: what a change leads to is over before
// the minute is.
func peerJob(name string, turn int) string {
	return fmt.Sprintf(`job %q {
  update {
    health_check     = "task_states"
    min_healthy_time = "10ms"
  }

  group "app" {
    task "app" {
      driver = "mock_driver"

      config {
        run_for = "24h"
      }

      env {
        TURN = "%d"
      }
    }
  }
}
`, name, turn)
}

func (s *peerStage) write(b *testing.B, name, text string) {
	b.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
}

// change saves the next job's file with another text.
func (s *peerStage) change(b *testing.B) (name string) {
	b.Helper()
	s.turn++
	name = s.files[s.turn*37%len(s.files)]
	s.write(b, "jobs/"+name+".hcl", peerJob(name, s.turn))
	return name
}

func (s *peerStage) commit(b *testing.B) {
	b.Helper()
	s.git(b, "add", "--all")
	s.git(b, "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "--quiet", "--allow-empty", "--message=bench")
}

func (s *peerStage) git(b *testing.B, args ...string) {
	b.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = filepath.Join(s.dir, "jobs"), s.environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("git %s: %v\n%s", args[0], err, out)
	}
}

// environment is the same for all, and has nothing in it of whoever runs this.
func (s *peerStage) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "NOMAD_TOKEN=" + s.proxy.token, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull}
}

// peerSide is one of those that are compared.
type peerSide struct {
	name, says string
	command    []string
	interval   time.Duration                          // its default
	change     func(b *testing.B) (string, time.Time) // one job; and since when it might be seen
}

func (s *peerStage) ours(b *testing.B) peerSide {
	program := filepath.Join(b.TempDir(), "reconcile")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	s.write(b, "policies/sudo.policy.hcl", "policy \"no-sudo-env\" {\n  sudo {\n    preserve_env = false\n  }\n}\n")
	s.write(b, "reconcile.hcl", fmt.Sprintf("nomad {\n  address = %q\n}\nsource \"directory\" \"jobs\" {}\nsync {\n  drift = \"correct\"\n}\n", s.front.URL))
	return peerSide{name: "ours", says: "this agent", command: []string{program, "agent"}, interval: 5 * time.Minute,
		change: func(b *testing.B) (string, time.Time) { return s.change(b), time.Now() }}
}

// peer is called as its documentation of July 2026 has it; nothing of it was run where
// this was written, as it could not be installed there.
func (s *peerStage) peer(b *testing.B, program string) peerSide {
	s.commit(b) // what our side has changed
	listen := httptest.NewServer(http.NotFoundHandler())
	address := listen.Listener.Addr().String()
	listen.Close()
	says := filepath.Base(program)
	if info, err := buildinfo.ReadFile(program); err == nil && info.Main.Path != "" {
		says = info.Main.Path + " " + info.Main.Version
	}
	return peerSide{
		name: "peer", says: says, interval: time.Minute,
		command: []string{program, "--repo-url", filepath.Join(s.dir, "jobs"), "--nomad-addr", s.front.URL, "--listen-addr", address,
			"--job-selector-glob", "*", "--default-update-policy", "full"},
		change: func(b *testing.B) (string, time.Time) {
			name := s.change(b)
			s.commit(b)
			at := time.Now()
			pushed(b, "http://"+address+"/webhook")
			return name, at
		},
	}
}

// pushed calls a webhook as GitHub does after a push.
func pushed(b *testing.B, url string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, strings.NewReader(`{"ref": "refs/heads/main"}`))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", "push")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b.Fatalf("the webhook says %s", resp.Status)
	}
}

// peerLatencies is how many changes are timed.
const peerLatencies = 5

func (s *peerStage) measure(b *testing.B, side peerSide) {
	report := func(n float64, unit string) { b.ReportMetric(n, side.name+"-"+unit) }
	for b.Loop() {
		p := s.start(b, side)
		p.calm()
		full := s.proxy.take()

		p.wait(side.interval)
		idle := s.proxy.take()

		p.changed(side)
		p.wait(time.Until(p.since.Add(time.Minute)))
		minute := s.proxy.take()
		expectRegisters(b, full, idle, minute)

		var took []time.Duration
		for range peerLatencies {
			p.calm()
			s.proxy.take()
			took = append(took, p.changed(side))
		}
		p.calm() // or the end would cut off what it is at
		p.stop()
		b.ReportMetric(0, "ns/op") // with the pauses: says nothing
		report(float64(len(full)), "requests/full-cycle")
		report(float64(len(idle)), "requests/idle-cycle")
		report(float64(len(idle))*time.Hour.Seconds()/side.interval.Seconds(), "requests/idle-hour")
		report(float64(len(minute)), "requests/minute-after")
		report(float64(middle(took).Microseconds())/1000, "ms-to-register")
		b.Logf("%s, %d jobs on nomadtest\nfull cycle: %s\nidle for %v: %s\nminute after a change: %s\nto register: %v",
			side.says, len(s.files), tallied(full), side.interval, tallied(idle), tallied(minute), took)
		if strange := s.proxy.others(); len(strange) > 0 {
			b.Logf("turned away and not counted, without the token of this side: %v", strange)
		}
	}
}

// expectRegisters: else the jobs were not in sync, and the counts are of something else.
func expectRegisters(b *testing.B, full, idle, minute []agentRequest) {
	b.Helper()
	registers := func(requests []agentRequest) (n int) {
		for _, r := range requests {
			if r.job != "" {
				n++
			}
		}
		return n
	}
	if a, m, z := registers(full), registers(idle), registers(minute); a != 0 || m != 0 || z != 1 {
		b.Errorf("registers: %d at first, %d while idle, %d after one change; expected 0, 0 and 1", a, m, z)
	}
}

// peerRun is a side under way.
type peerRun struct {
	b     *testing.B
	stage *peerStage
	cmd   *exec.Cmd
	end   context.CancelFunc
	log   string
	ended chan struct{}
	since time.Time // of the last change
}

func (s *peerStage) start(b *testing.B, side peerSide) *peerRun {
	ctx, end := context.WithCancel(context.Background())
	p := &peerRun{b: b, stage: s, end: end, log: filepath.Join(b.TempDir(), "log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, ".reconcile")); err != nil {
		b.Fatal(err)
	}
	s.proxy.reset()
	p.cmd = exec.CommandContext(ctx, side.command[0], side.command[1:]...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = s.dir, s.environment(), log, log
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = patience
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		defer log.Close()
		_ = p.cmd.Wait() // whoever misses it shows its log
	}()
	b.Cleanup(p.stop)
	return p
}

func (p *peerRun) stop() {
	p.end()
	<-p.ended
}

func (p *peerRun) fail(what string) {
	p.b.Helper()
	text, _ := os.ReadFile(p.log)
	p.b.Fatalf("%s\n%s", what, text[max(0, len(text)-2000):])
}

// wait is as long as it says; what is counted is what comes meanwhile.
func (p *peerRun) wait(d time.Duration) {
	p.b.Helper()
	select {
	case <-time.After(d):
	case <-p.ended:
		p.fail("it has ended by itself")
	}
}

// calm waits until something was asked, and then nothing for a while.
func (p *peerRun) calm() {
	p.b.Helper()
	for end := time.Now().Add(2 * time.Minute); !p.stage.proxy.quiet(2 * time.Second); p.wait(100 * time.Millisecond) {
		if time.Now().After(end) {
			p.fail("it goes on asking, or never does: " + tallied(p.stage.proxy.take()))
		}
	}
}

// changed changes one job and waits for its register.
func (p *peerRun) changed(side peerSide) time.Duration {
	p.b.Helper()
	var name string
	name, p.since = side.change(p.b)
	limit := time.After(2 * time.Minute)
	for {
		if at, ok := p.stage.proxy.registered(name); ok {
			return at.Sub(p.since)
		}
		select {
		case <-p.stage.proxy.came:
		case <-p.ended:
			p.fail("it has ended by itself")
		case <-limit:
			p.fail(name + " has changed, and is not registered")
		}
	}
}

// peerProxy notes everything that comes.
type peerProxy struct {
	next  http.Handler
	token string        // of those that are measured
	came  chan struct{} // a register

	mu        sync.Mutex
	seen      []agentRequest
	open      int       // but for streams
	last      time.Time // when something came or ended
	strangers map[string]int
}

// ServeHTTP notes and passes on what has the token. Others may be on this machine that
// take the port for somebody else's.
func (p *peerProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Nomad-Token") != p.token {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.strangers[r.Method+" "+r.URL.Path+" of "+r.UserAgent()]++
		http.Error(w, "not meant for you", http.StatusForbidden)
		return
	}
	req := agentRequest{kind: kindOf(r), at: time.Now()}
	if req.kind == "PUT jobs" || req.kind == "POST jobs" {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		var sent struct{ Job struct{ ID string } }
		_ = json.Unmarshal(body, &sent) // what is not one has no job
		req.job = sent.Job.ID
	}
	stream := strings.HasPrefix(req.kind, soakStream)
	p.note(&req, stream, 1)
	defer p.note(nil, stream, -1)
	p.next.ServeHTTP(w, r)
}

func (p *peerProxy) note(req *agentRequest, stream bool, open int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	if !stream {
		p.open += open
	}
	if req == nil {
		return
	}
	p.seen = append(p.seen, *req)
	if req.job != "" {
		select {
		case p.came <- struct{}{}:
		default:
		}
	}
}

// take gives what was seen, and forgets it.
func (p *peerProxy) take() []agentRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = nil
	return seen
}

func (p *peerProxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen, p.last = nil, time.Time{}
}

// others are those that came without the token.
func (p *peerProxy) others() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.strangers)
}

func (p *peerProxy) registered(name string) (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.seen {
		if r.job == name {
			return r.at, true
		}
	}
	return time.Time{}, false
}

func (p *peerProxy) quiet(d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open == 0 && !p.last.IsZero() && time.Since(p.last) > d
}
