package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
	"nomad-reconcile/state/nomad/nomadtest/agent"
)

var soak = struct {
	duration, pace, interval *time.Duration
	jobs                     *int
	seed                     *uint64
	nomad, keep              *bool
}{
	flag.Duration("soak", 0, "how long TestSoak disturbs the agent; without it, a short while with few jobs"),
	flag.Duration("soak.pace", 100*time.Millisecond, "the soak: from one disturbance to the next, on average"),
	flag.Duration("soak.interval", 20*time.Second, "the soak: the agent's interval"),
	flag.Int("soak.jobs", 2000, "the soak: how many jobs"),
	flag.Uint64("soak.seed", 1, "the soak: what chance begins with"),
	flag.Bool("soak.nomad", false, "the soak: a real Nomad, $NOMAD_BIN or the one on PATH; a hundred jobs are enough for it"),
	flag.Bool("soak.keep", false, "the soak: leave its folder, also where all is well"),
}

// A soak: a real agent, and for a long time everything that people, pipelines and
// networks do to it. In between all stand still, and it is seen whether the agent comes
// to rest, what it holds then, and whether that grows. In the end every job is what the
// test's own model says it must be. With more than a minute:
//
//	go test ./cmd/reconcile -run '^TestSoak$' -v -timeout 0 -soak 1h -soak.jobs 2000 -soak.seed 1
func TestSoak(t *testing.T) {
	t.Parallel()
	plan := soakPlan{duration: 12 * time.Second, pace: 40 * time.Millisecond, interval: 2 * time.Second, jobs: 40, phases: 2}
	if *soak.duration > 0 {
		plan = soakPlan{duration: *soak.duration, pace: *soak.pace, interval: *soak.interval, jobs: *soak.jobs, measured: true}
		plan.phases = max(3, int(plan.duration/(2*time.Minute)))
	}
	s := newSoak(t, plan)
	s.begin()
	s.rest("begin")
	for i := range plan.phases {
		s.disturb(plan.duration / time.Duration(plan.phases))
		s.rest(fmt.Sprintf("phase %d of %d", i+1, plan.phases))
	}
	s.finish()
}

type soakPlan struct {
	duration, pace, interval time.Duration
	jobs, phases             int
	measured                 bool // of a program as users have it: what it holds is of worth
}

// soaking is all that takes part.
type soaking struct {
	soakPlan
	t       *testing.T
	dir     string
	random  *rand.Rand
	url     string        // of Nomad itself
	client  *nomad.Client // past the proxy, as people and pipelines come
	real    *agent.Agent  // nil: the double
	driver  string
	proxy   *soakProxy
	agent   *exec.Cmd
	http    string
	jobs    []*soakJob
	byName  map[string]*soakJob
	serial  int // makes every text a new one
	policy  soakPolicy
	deeds   map[string]int
	samples []soakSample
	ended   chan error
}

func newSoak(t *testing.T, plan soakPlan) *soaking {
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		t.Fatal(err)
	}
	s := &soaking{
		soakPlan: plan, t: t, dir: dir, random: rand.New(rand.NewPCG(*soak.seed, 7)), driver: "mock_driver",
		byName: map[string]*soakJob{}, deeds: map[string]int{}, ended: make(chan error, 1),
	}
	t.Cleanup(func() {
		if t.Failed() || *soak.keep {
			t.Logf("left for a look: %s (-soak.seed %d)", dir, *soak.seed)
			return
		}
		os.RemoveAll(dir)
	})
	s.must(copyWorld(dir))
	s.must(os.RemoveAll(filepath.Join(dir, "jobs")))
	s.must(os.RemoveAll(filepath.Join(dir, "policies")))
	s.startNomad()
	s.client, err = nomad.New(&api.Config{Address: s.url})
	s.must(err)
	s.proxy = newSoakProxy(s)
	front := httptest.NewServer(s.proxy)
	s.proxy.server = front
	t.Cleanup(front.Close)
	t.Cleanup(s.proxy.cutAll) // streams keep it from closing
	s.http = freeAddress(t)
	s.write("reconcile.hcl", s.config(0))
	s.policy.tier = "one"
	s.writePolicies()
	return s
}

func (s *soaking) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *soaking) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	s.must(os.MkdirAll(filepath.Dir(path), 0o755))
	s.must(os.WriteFile(path, []byte(text), 0o644))
}

func (s *soaking) startNomad() {
	bin := filepath.Join(s.dir, "bin")
	if !*soak.nomad {
		server, err := nomadtest.Start(nomadtest.Options{PATH: bin, Parse: parseForNomad, Heartbeat: time.Second})
		s.must(err)
		s.t.Cleanup(func() { server.Close() })
		s.url = server.URL()
		return
	}
	binary := agent.Find(os.Getenv("NOMAD_BIN"))
	if binary == "" {
		s.t.Fatal("-soak.nomad needs a real Nomad: put one on PATH or set NOMAD_BIN")
	}
	s.driver = "raw_exec"
	var err error
	s.real, err = agent.Start(agent.Options{Binary: binary, Dir: s.t.TempDir(), PATH: bin + ":" + os.Getenv("PATH")})
	s.must(err)
	s.t.Cleanup(func() { s.real.Close() })
	s.url = s.real.URL()
	s.t.Logf("real Nomad: %s", s.real.Version)
}

// freeAddress: somebody else may take it before the agent does, which then says so.
func freeAddress(t *testing.T) string {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	return server.Listener.Addr().String()
}

func (s *soaking) config(touched int) string {
	return fmt.Sprintf(`# touched %d times
nomad {
  address = %q
}
source "directory" "jobs" {}
sync {
  fix    = "apply"
  drift  = "correct"
  create = "register"
  prune  = "stop"
}
limits {
  concurrency = 4
  max_changes = 100000
}
interval = "%s"
http {
  address = %q
  pprof   = true
}
`, touched, s.proxy.url(), s.interval, s.http)
}

// begin has most jobs registered, as they are found, some with what policies forbid,
// and starts the agent, which registers the rest.
func (s *soaking) begin() {
	s.must(os.MkdirAll(filepath.Join(s.dir, "jobs"), 0o755))
	for i := range s.soakPlan.jobs {
		j := newSoakJob(s, i)
		s.jobs = append(s.jobs, j)
		s.byName[j.name] = j
		s.writeJob(j, i%5 == 0)
		if i%10 != 7 {
			s.must(j.registerFile(s))
		}
	}
	s.startAgent()
}

func (s *soaking) startAgent() {
	program := "reconcile" // this very test, with its race detector
	if s.measured {
		program = filepath.Join(s.dir, "bin", "reconcile")
		if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
			s.t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	log, err := os.Create(filepath.Join(s.dir, "agent.log"))
	s.must(err)
	s.agent = exec.Command(program, "agent", "-config", filepath.Join(s.dir, "reconcile.hcl"))
	s.agent.Dir, s.agent.Stdout, s.agent.Stderr = s.dir, log, log
	s.must(s.agent.Start())
	go func() {
		err := s.agent.Wait()
		log.Close()
		s.ended <- err
		close(s.ended)
	}()
	s.t.Cleanup(func() {
		s.agent.Process.Kill()
		for range s.ended {
		}
	})
}

// ask is a request to the agent.
func (s *soaking) ask(path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	return fetch(ctx, "http://"+s.http+path)
}

func (s *soaking) alive() {
	s.t.Helper()
	select {
	case err := <-s.ended:
		s.t.Fatalf("the agent has ended: %v\n%s", err, s.logTail(""))
	default:
	}
}

// finish has everything that stands in the way mended, waits until every job is as it
// must be, and says what the soak has shown.
func (s *soaking) finish() {
	s.mendAll()
	limit := 2*time.Minute + 5*s.interval
	if s.measured {
		limit += 5 * time.Minute // the longest that anything is put off
	}
	start := time.Now()
	wrong := s.await(limit, s.wrong)
	took := time.Since(start).Round(time.Millisecond)
	s.rest("end")
	wrong = append(wrong, s.proxy.faults()...)
	wrong = append(wrong, s.strayHistory()...)
	s.stopAgent()
	s.print(took)
	for i, text := range wrong {
		if i == 20 {
			s.t.Errorf("... and %d more", len(wrong)-i)
			break
		}
		s.t.Error(text)
	}
	if s.measured {
		s.growth()
	}
}

func (s *soaking) stopAgent() {
	s.must(s.agent.Process.Signal(syscall.SIGTERM))
	if err := <-s.ended; err != nil {
		s.t.Errorf("the agent ends with %v\n%s", err, s.logTail(""))
	}
}

// logTail are the last lines of the agent's log that have a text.
func (s *soaking) logTail(with string) string {
	data, _ := os.ReadFile(filepath.Join(s.dir, "agent.log"))
	var lines []string
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, with) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-12):], "")
}

// soakStatus is what is read of /v1/status.
type soakStatus struct {
	Agent struct {
		Ready      bool
		LoadError  string `json:"load_error"`
		NomadError string `json:"nomad_error"`
	}
	Jobs []soakStatusJob
}

type soakStatusJob struct {
	ID, File, Condition, Reason string
	Findings                    int
	Running, Queued             bool
}

func (s *soaking) status() (soakStatus, error) {
	var out soakStatus
	data, err := s.ask("/v1/status")
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	return out, err
}
