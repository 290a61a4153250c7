// Package agent runs a real Nomad agent, server and client in one, for the suites
// that hold nomadtest and the product against it. It is on the loopback interface
// alone and asks nobody else for anything.
package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Options say which agent runs and where.
type Options struct {
	Binary     string
	Dir        string   // for its configuration, data and log; it stays
	PATH       string   // of the agent, and so of raw_exec tasks
	Namespaces []string // made besides "default"
	Config     string   // more of its configuration
}

// Agent is a running agent.
type Agent struct {
	Version string // as the binary names itself

	opts  Options
	ports [3]int
	log   *os.File
	cmd   *exec.Cmd
}

// Find gives the binary named, or the one on PATH; empty where there is none.
func Find(named string) string {
	if named != "" {
		return named
	}
	bin, err := exec.LookPath("nomad")
	if err != nil {
		return ""
	}
	return bin
}

// Start runs an agent and waits until its node takes work.
func Start(opts Options) (*Agent, error) {
	out, err := exec.Command(opts.Binary, "version").Output()
	if err != nil {
		return nil, fmt.Errorf("asking %s for its version: %w", opts.Binary, err)
	}
	a := &Agent{Version: strings.SplitN(strings.TrimSpace(string(out)), "\n", 2)[0], opts: opts}
	if a.ports, err = freePorts(); err != nil {
		return nil, err
	}
	if a.log, err = os.Create(filepath.Join(opts.Dir, "agent.log")); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(config, a.ports[0], a.ports[1], a.ports[2])
	if err := os.WriteFile(a.file("agent.hcl"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(a.file("more.hcl"), []byte(opts.Config), 0o600); err != nil {
		return nil, err
	}
	if err := a.run(); err != nil {
		return nil, errors.Join(err, a.kill())
	}
	for _, ns := range opts.Namespaces {
		c, err := a.client()
		if err == nil {
			_, err = c.Namespaces().Register(&api.Namespace{Name: ns}, nil)
		}
		if err != nil {
			return nil, errors.Join(err, a.kill())
		}
	}
	return a, nil
}

// URL is the address for NOMAD_ADDR.
func (a *Agent) URL() string { return fmt.Sprintf("http://127.0.0.1:%d", a.ports[0]) }

// Restart kills the agent, as a power cut does, and runs it again on its data; the
// tasks live on.
func (a *Agent) Restart() error {
	if err := a.kill(); err != nil {
		return err
	}
	return a.run()
}

// Close stops all jobs, waits for their tasks' end (raw_exec tasks outlive an
// agent), and ends the agent.
func (a *Agent) Close() error {
	err := a.stopJobs()
	if term := a.cmd.Process.Signal(syscall.SIGTERM); term != nil {
		err = errors.Join(err, term)
	}
	a.cmd.Wait() // its exit code says that it was told to end
	a.unmount()
	return errors.Join(err, a.log.Close())
}

func (a *Agent) file(name string) string { return filepath.Join(a.opts.Dir, name) }

func (a *Agent) client() (*api.Client, error) { return api.NewClient(&api.Config{Address: a.URL()}) }

func (a *Agent) run() error {
	a.cmd = exec.Command(a.opts.Binary, "agent", "-config", a.file("agent.hcl"), "-config", a.file("more.hcl"), "-data-dir", a.file("data"))
	a.cmd.Stdout, a.cmd.Stderr = a.log, a.log
	a.cmd.Env = []string{"PATH=" + a.opts.PATH, "HOME=" + a.opts.Dir}
	if err := a.cmd.Start(); err != nil {
		return err
	}
	return a.ready()
}

func (a *Agent) kill() error {
	if a.cmd == nil || a.cmd.Process == nil {
		return nil
	}
	err := a.cmd.Process.Kill()
	a.cmd.Wait()
	return err
}

// ready waits for the agent to elect itself and for its node, which no event tells
// from outside.
func (a *Agent) ready() error {
	c, err := a.client()
	if err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		nodes, _, err := c.Nodes().List(nil)
		if err == nil && len(nodes) == 1 && nodes[0].Status == "ready" && nodes[0].SchedulingEligibility == "eligible" {
			if _, _, err = c.Namespaces().List(nil); err == nil {
				return nil
			}
		}
	}
	text, _ := os.ReadFile(a.log.Name())
	return fmt.Errorf("the agent's node is not ready after a minute:\n%s", text)
}

func (a *Agent) stopJobs() error {
	c, err := a.client()
	if err != nil {
		return err
	}
	jobs, _, err := c.Jobs().List(&api.QueryOptions{Namespace: "*"})
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if _, _, stop := c.Jobs().Deregister(j.ID, false, &api.WriteOptions{Namespace: j.Namespace}); stop != nil {
			err = errors.Join(err, stop)
		}
	}
	for _, j := range jobs {
		err = errors.Join(err, awaitEnd(c, j))
	}
	return err
}

// awaitEnd waits until no allocation of a stopped job runs.
func awaitEnd(c *api.Client, j *api.JobListStub) error {
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		allocs, _, err := c.Jobs().Allocations(j.ID, true, &api.QueryOptions{Namespace: j.Namespace})
		if err == nil && !slices.ContainsFunc(allocs, func(a *api.AllocationListStub) bool { return !ended(a) }) {
			return nil
		}
	}
	return fmt.Errorf("tasks of %s are still running", j.ID)
}

func ended(a *api.AllocationListStub) bool {
	return a.ClientStatus == api.AllocClientStatusComplete || a.ClientStatus == api.AllocClientStatusFailed
}

// unmount takes away what an agent that runs as root leaves mounted in its folder.
func (a *Agent) unmount() {
	mounts, _ := os.ReadFile("/proc/mounts")
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], a.opts.Dir+"/") {
			exec.Command("umount", f[1]).Run()
		}
	}
}

func freePorts() (ports [3]int, err error) {
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return ports, err
		}
		defer l.Close() // after the last, so that no port is given twice
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

const config = `
bind_addr            = "127.0.0.1"
disable_update_check = true
log_level            = "WARN"

advertise {
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}

ports {
  http = %d
  rpc  = %d
  serf = %d
}

limits {
  http_max_conns_per_client = 0
}

server {
  enabled          = true
  bootstrap_expect = 1
}

client {
  enabled           = true
  network_interface = "lo"
  gc_max_allocs     = 10000

  options = {
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean,consul,vault"
    "driver.allowlist"     = "raw_exec"
  }
}

plugin "raw_exec" {
  config {
    enabled = true
  }
}

consul {
  server_auto_join = false
  client_auto_join = false
  auto_advertise   = false
}
`
