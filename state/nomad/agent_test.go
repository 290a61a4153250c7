package nomad_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// realNomad is the binary of a real Nomad, or empty.
func realNomad() string {
	if bin := os.Getenv("NOMAD_BIN"); bin != "" {
		return bin
	}
	bin, err := exec.LookPath("nomad")
	if err != nil {
		return ""
	}
	return bin
}

type agent struct{ url, version string }

// startAgent runs a server and client of its own on loopback and waits until its
// node can take work.
func startAgent(t *testing.T, binary string) agent {
	t.Helper()
	out, err := exec.Command(binary, "version").Output()
	if err != nil {
		t.Fatalf("asking %s for its version: %v", binary, err)
	}
	dir := t.TempDir()
	ports := freePorts(t, 3)
	config := filepath.Join(dir, "agent.hcl")
	if err := os.WriteFile(config, []byte(fmt.Sprintf(agentConfig, ports[0], ports[1], ports[2])), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "agent.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "agent", "-config", config, "-data-dir", filepath.Join(dir, "data"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a := agent{url: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), version: strings.SplitN(strings.TrimSpace(string(out)), "\n", 2)[0]}
	t.Cleanup(func() { stopAgent(t, a, cmd) })
	awaitNode(t, a.url, log.Name())
	return a
}

// stopAgent stops the jobs first: raw_exec tasks outlive an agent.
func stopAgent(t *testing.T, a agent, cmd *exec.Cmd) {
	c, err := api.NewClient(&api.Config{Address: a.url})
	if err != nil {
		t.Fatal(err)
	}
	jobs, _, err := c.Jobs().List(&api.QueryOptions{Namespace: "*"})
	if err != nil {
		t.Error(err)
	}
	for _, j := range jobs {
		if _, _, err := c.Jobs().Deregister(j.ID, false, &api.WriteOptions{Namespace: j.Namespace}); err != nil {
			t.Error(err)
		}
	}
	for _, j := range jobs {
		awaitEnd(t, c, j)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	unmount(filepath.Dir(cmd.Args[3]))
}

// awaitEnd waits until no allocation of a stopped job runs.
func awaitEnd(t *testing.T, c *api.Client, j *api.JobListStub) {
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		allocs, _, err := c.Jobs().Allocations(j.ID, true, &api.QueryOptions{Namespace: j.Namespace})
		if err == nil && !slices.ContainsFunc(allocs, func(a *api.AllocationListStub) bool { return !ended(a) }) {
			return
		}
	}
	t.Errorf("tasks of %s are still running", j.ID)
}

func ended(a *api.AllocationListStub) bool {
	return a.ClientStatus == api.AllocClientStatusComplete || a.ClientStatus == api.AllocClientStatusFailed
}

// unmount takes away what an agent that runs as root leaves mounted in its folder.
func unmount(dir string) {
	mounts, _ := os.ReadFile("/proc/mounts")
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			exec.Command("umount", f[1]).Run()
		}
	}
}

func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // after the last, so that no port is given twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// awaitNode waits for the agent to elect itself and its node to be ready, which no
// event tells from outside.
func awaitNode(t *testing.T, url, log string) {
	t.Helper()
	c, err := api.NewClient(&api.Config{Address: url})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		nodes, _, err := c.Nodes().List(nil)
		if err == nil && len(nodes) == 1 && nodes[0].Status == "ready" {
			if _, err := c.Namespaces().Register(&api.Namespace{Name: "apps"}, nil); err == nil {
				return
			}
		}
	}
	text, _ := os.ReadFile(log)
	t.Fatalf("the agent's node is not ready after a minute:\n%s", text)
}

const agentConfig = `
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

server {
  enabled          = true
  bootstrap_expect = 1
}

client {
  enabled           = true
  network_interface = "lo"

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
