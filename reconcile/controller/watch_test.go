package controller

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
)

func watching(t *testing.T, paths ...string) *watcher {
	t.Helper()
	w, err := newWatcher(logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	w.watch(paths)
	return w
}

func put(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(path), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What lies beside a watched file, the agent's own log say, brings no pass; nor
// does the state below a watched folder.
func TestWatchesOnlyWhatIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config, jobs, link := filepath.Join(dir, "reconcile.hcl"), filepath.Join(dir, "jobs"), filepath.Join(dir, "link")
	put(t, config)
	put(t, filepath.Join(jobs, ".state", "x"))
	put(t, filepath.Join(dir, "elsewhere", "x"))
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	w := watching(t, config, jobs, link)
	for _, c := range []struct {
		path  string
		moves bool
	}{
		{filepath.Join(dir, "agent.log"), false},
		{filepath.Join(dir, "jobs2"), false},
		{filepath.Join(jobs, ".state", "x"), false},
		{filepath.Join(jobs, ".web.hcl.swp"), false},
		{config, true},
		{filepath.Join(jobs, "web.hcl"), true},
		{filepath.Join(dir, "elsewhere", "x"), true},
	} {
		interval, want := 50*time.Millisecond, "interval"
		if c.moves {
			interval, want = time.Hour, c.path
		}
		put(t, c.path)
		if why, ok := w.next(t.Context(), interval, time.Millisecond); !ok || why != want {
			t.Errorf("%s: %s, want %s", c.path, why, want)
		}
	}
}

// A folder that never comes to rest does not keep the full pass away.
func TestConstantEvents(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := watching(t, dir)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.WriteFile(filepath.Join(dir, "x"), nil, 0o644)
			}
		}
	}()
	why, ok := w.next(t.Context(), 50*time.Millisecond, time.Hour)
	close(stop)
	<-stopped
	if !ok || why != "interval" {
		t.Errorf("%s, %t", why, ok)
	}
}
