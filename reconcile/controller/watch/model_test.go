package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
)

// reader is what a consumer must be: it keeps a snapshot, looks again only at
// what it is told of, and never further.
type reader struct {
	*Watcher
	trees, files []string
	snap         map[string]string
}

// settleFor is short, since most tests wait it out more than once.
const settleFor = 5 * time.Millisecond

func reading(t testing.TB, o Options, trees, files []string) *reader {
	t.Helper()
	if o.Settle == 0 {
		o.Settle = settleFor
	}
	if o.Poll == 0 {
		o.Poll = time.Hour
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	r := &reader{Watcher: New(o), trees: trees, files: files, snap: map[string]string{}}
	t.Cleanup(r.Close)
	r.Set(trees, files)
	r.catchUp(t)
	return r
}

// whole is what a full walk finds.
func (r *reader) whole() map[string]string {
	m := map[string]string{}
	for _, root := range r.trees {
		walkInto(m, root)
	}
	for _, path := range r.files {
		enter(m, path)
	}
	return m
}

func (r *reader) apply(c Change) {
	for _, dir := range c.Dirs {
		r.glance(dir)
	}
	for _, dir := range c.Trees {
		r.cut(dir)
		walkInto(r.snap, dir)
	}
	for _, path := range c.Files {
		delete(r.snap, path)
		enter(r.snap, path)
	}
}

// glance compares the entries of one folder, and goes into none.
func (r *reader) glance(dir string) {
	entries, _ := os.ReadDir(dir)
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
		path := filepath.Join(dir, e.Name())
		if !e.IsDir() && !slices.Contains(r.trees, path) { // that may be a link
			r.cut(path)
		}
		enter(r.snap, path)
	}
	for path := range r.snap {
		if filepath.Dir(path) == dir && !names[filepath.Base(path)] {
			r.cut(path)
		}
	}
}

// cut removes a path with all below it, but for the roots that Set named there.
func (r *reader) cut(path string) {
	for known := range r.snap {
		if _, ok := below(path, known); ok && !r.ofAnother(path, known) {
			delete(r.snap, known)
		}
	}
}

func (r *reader) ofAnother(path, known string) bool {
	if slices.Contains(r.files, known) {
		return true
	}
	return slices.ContainsFunc(r.trees, func(root string) bool {
		_, in := below(root, known)
		_, under := below(path, root)
		return in && under && path != root
	})
}

func walkInto(m map[string]string, dir string) {
	entries, err := os.ReadDir(dir)
	enter(m, dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			walkInto(m, path)
		} else {
			enter(m, path)
		}
	}
}

func enter(m map[string]string, path string) {
	info, err := os.Stat(path)
	if err != nil {
		if info, err = os.Lstat(path); err != nil {
			return
		}
	}
	s := info.Sys().(*syscall.Stat_t)
	m[path] = fmt.Sprint(info.Mode(), s.Ino)
	if info.Mode().IsRegular() {
		m[path] += fmt.Sprint(" ", info.Size(), info.ModTime().UnixNano())
	}
}

// differ is what the snapshot has wrong.
func (r *reader) differ() []string {
	var wrong []string
	whole := r.whole()
	for path, is := range whole {
		if r.snap[path] != is {
			wrong = append(wrong, fmt.Sprintf("%s: is %q, seen %q", path, is, r.snap[path]))
		}
	}
	for path, seen := range r.snap {
		if _, ok := whole[path]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s: is gone, seen %q", path, seen))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// next is one Change, applied.
func (r *reader) next(t testing.TB) Change {
	t.Helper()
	select {
	case c, ok := <-r.Changes():
		if !ok {
			t.Fatal("closed")
		}
		r.apply(c)
		return c
	case <-time.After(20 * time.Second):
		t.Fatalf("nothing was named; wrong:\n%s", strings.Join(r.differ(), "\n"))
		return Change{}
	}
}

// catchUp reads until the snapshot is what a full walk finds, and returns all
// that was named meanwhile.
func (r *reader) catchUp(t testing.TB) (all Change) {
	t.Helper()
	for first := true; first && len(r.snap) == 0 && len(r.whole()) > 0 || len(r.differ()) > 0; first = false {
		all = all.merge(r.next(t), nil)
	}
	return all
}

// still fails on any Change until a second watcher, which polls, has told three
// times of time that went by.
func (r *reader) still(t *testing.T) {
	t.Helper()
	for range ticking(t, 3) {
		select {
		case c := <-r.Changes():
			t.Fatalf("named for nothing: %+v", c)
		default:
		}
	}
}

func ticking(t *testing.T, n int) <-chan Change {
	t.Helper()
	w := New(Options{Settle: settleFor, Poll: 4 * settleFor, Log: logr.Discard(), add: failing(syscall.ENOSPC)})
	w.Set([]string{t.TempDir()}, nil)
	out := make(chan Change)
	go func() {
		defer close(out)
		defer w.Close()
		for range n {
			out <- <-w.Changes()
		}
	}()
	return out
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

var puts atomic.Int64

// put makes a file that is never twice the same, and the folders above it.
func put(t testing.TB, path string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755), write(path))
}

func write(path string) error {
	return os.WriteFile(path, []byte(strings.Repeat("x", int(puts.Add(1)%4096))), 0o644)
}

func link(t testing.TB, target, path string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(target, path))
}

// swap puts a link in the place of another as deployments do, by a rename.
func swap(t testing.TB, target, path string) {
	t.Helper()
	must(t, os.Symlink(target, path+"_tmp"), os.Rename(path+"_tmp", path))
}
