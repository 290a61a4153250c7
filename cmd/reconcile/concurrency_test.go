package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
)

// Twenty jobs at once: limits.concurrency of them are under way, from their backup to
// the end of their gate, never more. Registers wait before Nomad until as many have
// come as may; then one goes for each that comes.
func TestApplyConcurrency(t *testing.T) {
	t.Parallel()
	const jobs, limit = 20, 4
	dir := t.TempDir()
	server, err := nomadtest.Start(nomadtest.Options{Parse: parseForNomad})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	client, err := nomad.New(&api.Config{Address: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"apply", "-auto-approve", "-config", filepath.Join(dir, "reconcile.hcl")}
	door := &door{next: proxyTo(server.URL()), limit: limit, total: jobs}
	front := httptest.NewServer(door)
	t.Cleanup(front.Close)
	for i := range jobs {
		name := fmt.Sprintf("job-%02d", i)
		text := fmt.Sprintf("job %q {\n  group \"g\" {\n    count = 0\n    task \"t\" {\n      driver = \"raw_exec\"\n    }\n  }\n}\n", name)
		write("jobs/"+name+".hcl", text)
		f, diags := jobspec.Parse(name, []byte(text), jobspec.Inputs{})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if _, err := client.Register(t.Context(), f.Job, f.Submission, 0); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	write("reconcile.hcl", fmt.Sprintf("nomad {\n  address = %q\n}\nsource \"directory\" \"jobs\" {}\nlimits {\n  concurrency = %d\n}\n", front.URL, limit))
	write("policies/level.policy.hcl", "policy \"level\" {\n  fix = true\n  env {\n    values = { LEVEL = \"1\" }\n  }\n}\n")
	var out bytes.Buffer
	var steps underWay
	sh := &shell{stdin: strings.NewReader(""), stdout: &out, stderr: &steps, now: time.Now}
	code := run(sh, args)
	if code != exitOK || !strings.Contains(out.String(), "20 converged") {
		t.Errorf("exit code %d\n%s%s", code, out.String(), steps.text.String())
	}
	if steps.most != limit {
		t.Errorf("%d jobs under way at once, want %d", steps.most, limit)
	}
}

// door keeps registers waiting.
type door struct {
	next         http.Handler
	mu           sync.Mutex
	limit, total int
	came         int
	waiting      []chan struct{}
}

// ServeHTTP passes everything on; a register in its turn.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if (r.Method == http.MethodPut || r.Method == http.MethodPost) && r.URL.Path == "/v1/jobs" {
		<-d.come()
	}
	d.next.ServeHTTP(w, r)
}

func (d *door) come() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	turn := make(chan struct{})
	d.waiting = append(d.waiting, turn)
	d.came++
	switch {
	case d.came == d.total:
		d.release(len(d.waiting))
	case d.came >= d.limit:
		d.release(1)
	}
	return turn
}

func (d *door) release(n int) {
	for _, turn := range d.waiting[:n] {
		close(turn)
	}
	d.waiting = d.waiting[n:]
}

// underWay reads off the progress how many runs there are at once.
type underWay struct {
	mu        sync.Mutex
	text      bytes.Buffer
	now, most int
}

// Write takes lines such as "web: register ok version 1".
func (u *underWay) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for line := range strings.Lines(string(p)) {
		switch {
		case strings.Contains(line, ": backup ok"):
			u.now++
		case strings.Contains(line, ": gate deployment"):
			u.now--
		}
		u.most = max(u.most, u.now)
	}
	return u.text.Write(p)
}
