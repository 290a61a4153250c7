package watch

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
)

// Before any parallel test: it counts goroutines.
func TestCloseLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	before := runtime.NumGoroutine()
	for range 20 {
		w := New(Options{Settle: time.Millisecond, Log: logr.Discard()})
		w.Set([]string{dir}, []string{filepath.Join(dir, "x")})
		put(t, filepath.Join(dir, "a", "b")) // nobody reads of it
		w.Close()
		w.Close()
		w.Set([]string{dir}, nil)
		if _, ok := <-w.Changes(); ok {
			t.Fatal("a Change after Close")
		}
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

func TestBurstIsOneChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var want []string
	for i := range 40 {
		sub := filepath.Join(dir, "d"+strconv.Itoa(100+i))
		put(t, filepath.Join(sub, "quiet", "x"))
		want = append(want, sub)
	}
	var b brake
	r := reading(t, Options{Settle: time.Second, turn: b.turn}, []string{dir}, nil)
	b.hold(func() {
		for i := range 1000 {
			put(t, filepath.Join(want[i%40], strconv.Itoa(i)))
		}
	})
	if c := r.next(t); !slices.Equal(c.Dirs, want) || c.Trees != nil || c.Files != nil {
		t.Errorf("%+v", c)
	}
	r.caughtUp(t)
}

func TestBurstOfFoldersIsOneChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var b brake
	r := reading(t, Options{Settle: time.Second, turn: b.turn}, []string{dir}, nil)
	var want []string
	b.hold(func() {
		for i := range 1000 {
			sub := filepath.Join(dir, "d"+strconv.Itoa(1000+i))
			put(t, filepath.Join(sub, "a", "b", "c"))
			want = append(want, sub)
		}
	})
	if c := r.next(t); !slices.Equal(c.Dirs, []string{dir}) || !slices.Equal(c.Trees, want) {
		t.Errorf("%+v", c)
	}
	r.caughtUp(t)
}

// brake holds the loop, so that what is done meanwhile waits in the kernel's
// queue, however long it takes on a busy machine.
type brake struct{ sync.Mutex }

func (b *brake) turn() {
	b.Lock()
	defer b.Unlock()
}

func (b *brake) hold(while func()) {
	b.Lock()
	defer b.Unlock()
	while()
}

// What goes on in a new folder once it is watched belongs to the same Change.
func TestNewFoldersSettle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.Join(dir, "new")
	add := func(w *fsnotify.Watcher, path string) error {
		err := w.Add(path)
		if path == folder {
			_ = write(filepath.Join(folder, "x"))
		}
		return err
	}
	r := reading(t, Options{Settle: 300 * time.Millisecond, add: add}, []string{dir}, nil)
	must(t, os.Mkdir(folder, 0o755))
	if c := r.next(t); !slices.Equal(c.Trees, []string{folder}) {
		t.Errorf("%+v", c)
	}
	for range ticking(t, 30) {
		select {
		case c := <-r.Changes():
			t.Fatalf("once more: %+v", c)
		default:
		}
	}
}

func (r *reader) caughtUp(t *testing.T) {
	t.Helper()
	if wrong := r.differ(); len(wrong) > 0 {
		t.Errorf("not named:\n%s", strings.Join(wrong, "\n"))
	}
	r.still(t)
}

func TestConstantEventsDoNotStarve(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := reading(t, Options{Settle: 20 * time.Millisecond}, []string{dir}, nil)
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_ = write(filepath.Join(dir, strconv.Itoa(i%10)))
			}
		}
	})
	for range 2 {
		if c := r.next(t); !slices.Equal(c.Dirs, []string{dir}) {
			t.Errorf("%+v", c)
		}
	}
	close(stop)
	writer.Wait()
	r.catchUp(t)
}

func TestUnreadChangesAreMerged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b, file := filepath.Join(dir, "t", "a"), filepath.Join(dir, "t", "b"), filepath.Join(dir, "file")
	put(t, filepath.Join(a, "x"))
	put(t, filepath.Join(b, "x"))
	r := reading(t, Options{}, []string{filepath.Join(dir, "t")}, []string{file})
	for _, path := range []string{filepath.Join(a, "x"), file, filepath.Join(b, "x")} {
		put(t, path)
		for range ticking(t, 3) { // settles meanwhile
		}
	}
	if c := r.next(t); !slices.Equal(c.Dirs, []string{a, b}) || !slices.Equal(c.Files, []string{file}) || c.Trees != nil {
		t.Errorf("%+v", c)
	}
	r.caughtUp(t)
}

// What lies beside what is watched, or hidden below it, is not named.
func TestNamesNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(path string) string { return filepath.Join(dir, path) }
	put(t, in("jobs/.reconcile/runs/1"))
	put(t, in("jobs/web.hcl"))
	put(t, in("jobs2/x"))
	put(t, in("reconcile.hcl"))
	hiddenAdded := atomic.Bool{}
	add := func(w *fsnotify.Watcher, path string) error {
		hiddenAdded.Store(hiddenAdded.Load() || strings.Contains(path, ".reconcile"))
		return w.Add(path)
	}
	r := reading(t, Options{add: add}, []string{in("jobs")}, []string{in("reconcile.hcl")})
	if hiddenAdded.Load() {
		t.Error("a hidden folder is watched")
	}
	for _, path := range []string{"agent.log", "jobs2/x", "jobs/.reconcile/runs/1", "jobs/.reconcile/x", "reconcile.hcl.swp", "a/b/c"} {
		put(t, in(path))
	}
	r.still(t)
	put(t, in("jobs/web.hcl"))
	if c := r.next(t); !slices.Equal(c.Dirs, []string{in("jobs")}) || c.Trees != nil || c.Files != nil {
		t.Errorf("%+v", c)
	}
}

func TestSetReplaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(path string) string { return filepath.Join(dir, path) }
	put(t, in("a/x/y"))
	put(t, in("b/x/y"))
	var fs *fsnotify.Watcher
	open := func() (w *fsnotify.Watcher, err error) {
		fs, err = fsnotify.NewWatcher()
		return fs, err
	}
	r := reading(t, Options{open: open}, []string{in("a")}, []string{in("f")})
	r.Set(r.trees, r.files)
	r.still(t)
	r.trees, r.files = []string{in("b")}, []string{in("f"), in("g")}
	r.Set([]string{in("b") + "/", in("b")}, r.files)
	if c := r.next(t); !slices.Equal(c.Trees, []string{in("b")}) || !slices.Equal(c.Files, []string{in("g")}) || c.Dirs != nil {
		t.Errorf("%+v", c)
	}
	put(t, in("a/x/y"))
	r.still(t)
	put(t, in("b/x/y"))
	if c := r.next(t); !slices.Equal(c.Dirs, []string{in("b/x")}) || c.Trees != nil || c.Files != nil {
		t.Errorf("%+v", c)
	}
	r.Set(nil, nil)
	r.Set(nil, nil) // is taken when the first is done
	if left := fs.WatchList(); len(left) > 0 {
		t.Errorf("still watched: %q", left)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	dirs := func(paths ...string) Change { return Change{Dirs: paths} }
	trees := func(paths ...string) Change { return Change{Trees: paths} }
	for _, c := range []struct {
		name       string
		a, b, want Change
	}{
		{"sorted and once", dirs("/t/b", "/t/a"), dirs("/t/b"), dirs("/t/a", "/t/b")},
		{"a folder below a tree", dirs("/t/a/b", "/t/a", "/t/ab"), trees("/t/a"), Change{Dirs: []string{"/t/ab"}, Trees: []string{"/t/a"}}},
		{"a tree below a tree", trees("/t/a/b/c"), trees("/t/a"), trees("/t/a")},
		{"below another root, which may be a link", dirs("/t/link/a"), trees("/t"), Change{Dirs: []string{"/t/link/a"}, Trees: []string{"/t"}}},
		{"a tree below another root", trees("/t/link/a"), trees("/t"), trees("/t", "/t/link/a")},
		{"another root itself", trees("/t/link", "/t/link/a"), trees("/t"), trees("/t", "/t/link")},
		{"files, though a tree covers them", Change{Files: []string{"/t/f"}}, trees("/t"), Change{Trees: []string{"/t"}, Files: []string{"/t/f"}}},
	} {
		got := c.a.merge(c.b, map[string]bool{"/t": true, "/t/link": true})
		if !slices.Equal(got.Dirs, c.want.Dirs) || !slices.Equal(got.Trees, c.want.Trees) || !slices.Equal(got.Files, c.want.Files) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestIdleDoesNotWakeUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "t", "x"))
	var turns atomic.Int64
	add := func(w *fsnotify.Watcher, path string) error {
		if _, ok := below(dir, path); !ok {
			return syscall.EACCES // other tests work beside this one
		}
		return w.Add(path)
	}
	r := reading(t, Options{add: add, turn: func() { turns.Add(1) }}, []string{filepath.Join(dir, "t")}, nil)
	r.still(t)
	before := turns.Load()
	r.still(t)
	if after := turns.Load(); after != before {
		t.Errorf("%d turns of the loop at idle", after-before)
	}
	put(t, filepath.Join(dir, "t", "x"))
	r.next(t)
	if turns.Load() == before {
		t.Error("turns are not counted")
	}
}

// The kernel's queue really runs over here: nobody takes events from it.
func TestLostEventsNameEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(path string) string { return filepath.Join(dir, path) }
	put(t, in("a/x/y"))
	put(t, in("b/x"))
	put(t, in("f"))
	var b brake
	var told atomic.Int64
	o := Options{turn: b.turn, OnError: count(&told, fsnotify.ErrEventOverflow)}
	r := reading(t, o, []string{in("a"), in("b")}, []string{in("f")})
	b.hold(func() {
		put(t, in("a/x/z"))
		for i := range 25000 { // the queue holds 16384; the same event twice on end would be one
			must(t, os.Chmod(in("a/x/"+[]string{"y", "z"}[i%2]), 0o600))
		}
		put(t, in("a/new/folder/x"))
		must(t, os.Rename(in("a/x"), in("a/z")), os.Chmod(in("b/x"), 0o600), os.Remove(in("f")))
	})
	c := r.next(t)
	for len(c.Files) == 0 {
		c = r.next(t)
	}
	if !slices.Equal(c.Trees, r.trees) || !slices.Equal(c.Files, r.files) || told.Load() == 0 {
		t.Errorf("%+v, told %d times", c, told.Load())
	}
	r.catchUp(t)
	put(t, in("a/new/folder/x"))
	put(t, in("a/z/y"))
	put(t, in("f"))
	r.catchUp(t)
}

func count(n *atomic.Int64, want error) func(error) {
	return func(err error) {
		if errors.Is(err, want) {
			n.Add(1)
		}
	}
}

// journal is a log that tests read.
type journal struct {
	sync.Mutex
	lines []string
}

func (j *journal) logger() logr.Logger {
	return funcr.New(func(_, line string) {
		j.Lock()
		defer j.Unlock()
		j.lines = append(j.lines, line)
	}, funcr.Options{})
}

// expect compares what was logged since; each line must have all of the words.
func (j *journal) expect(t *testing.T, lines ...[]string) {
	t.Helper()
	j.Lock()
	defer j.Unlock()
	if len(j.lines) != len(lines) {
		t.Errorf("logged %q, want %d lines", j.lines, len(lines))
		return
	}
	for i, words := range lines {
		for _, word := range words {
			if !strings.Contains(j.lines[i], word) {
				t.Errorf("%q lacks %q", j.lines[i], word)
			}
		}
	}
	j.lines = nil
}

// limit is inotify's, in the hands of a test.
type limit struct {
	sync.Mutex
	err  error
	left int // folders that may be watched until then
}

func (l *limit) set(left int, err error) {
	l.Lock()
	defer l.Unlock()
	l.left, l.err = left, err
}

func (l *limit) reached() error {
	l.Lock()
	defer l.Unlock()
	if l.left--; l.left < 0 {
		return l.err
	}
	return nil
}

func (l *limit) add(w *fsnotify.Watcher, path string) error {
	if err := l.reached(); err != nil {
		return err
	}
	return w.Add(path)
}

func (l *limit) open() (*fsnotify.Watcher, error) {
	if err := l.reached(); err != nil {
		return nil, err
	}
	return fsnotify.NewWatcher()
}

func TestPollsWhereItCannotWatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		err   error
		raise string
		opens bool // it is the opening that fails
	}{
		{"no more watches", syscall.ENOSPC, "fs.inotify.max_user_watches", false},
		{"no more instances", syscall.EMFILE, "fs.inotify.max_user_instances", true},
		{"no more files", syscall.ENFILE, "fs.file-max", true},
		{"no inotify", syscall.ENOSYS, "function not implemented", true},
		{"something else", syscall.ENOMEM, "cannot allocate memory", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var l limit
			var log journal
			var told, polled atomic.Int64
			l.set(0, c.err)
			o := Options{Poll: 4 * settleFor, Log: log.logger(), OnError: count(&told, c.err), OnPoll: func(paths []string) { polled.Store(10*polled.Load() + int64(len(paths))) }}
			if c.opens {
				o.open = l.open
			} else {
				o.add = l.add
			}
			polls(t, o, &l, &log, c.raise)
			if told.Load() == 0 {
				t.Error("OnError did not hear of it")
			}
			if got := polled.Load(); got != 20 { // two, then none
				t.Errorf("OnPoll heard of %d", got)
			}
		})
	}
}

func polls(t *testing.T, o Options, l *limit, log *journal, raise string) {
	dir := t.TempDir()
	in := func(path string) string { return filepath.Join(dir, path) }
	put(t, in("a/b/x"))
	r := reading(t, o, []string{in("a")}, []string{in("f")})
	for range 3 {
		put(t, in("a/b/x"))
		put(t, in("f"))
		r.catchUp(t)
	}
	log.expect(t, []string{"cannot watch", in("a"), in("f"), raise})
	l.set(0, nil)
	await(t, r, func() bool { log.Lock(); defer log.Unlock(); return len(log.lines) > 0 })
	log.expect(t, []string{"watching again", in("a"), in("f")})
	drain(t, r)
	r.still(t) // polls no more
	put(t, in("a/b/x"))
	put(t, in("f"))
	r.catchUp(t)
	log.expect(t)
}

// await reads until something has come true.
func await(t *testing.T, r *reader, true func() bool) {
	t.Helper()
	for !true() {
		r.next(t)
	}
}

// drain reads what was still to come.
func drain(t *testing.T, r *reader) {
	t.Helper()
	for range ticking(t, 3) {
		select {
		case c := <-r.Changes():
			r.apply(c)
		default:
		}
	}
}

func TestSetFindsThatWatchingWorksAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(path string) string { return filepath.Join(dir, path) }
	put(t, in("a/x"))
	var l limit
	var log journal
	l.set(0, syscall.EMFILE)
	r := reading(t, Options{open: l.open, Log: log.logger()}, []string{in("a")}, []string{in("f")})
	put(t, in("a/x"))
	put(t, in("f"))
	r.still(t) // the poll is an hour away
	log.expect(t, []string{"cannot watch"})
	l.set(0, nil)
	r.Set(r.trees, r.files)
	r.catchUp(t)
	log.expect(t, []string{"watching again"})
	put(t, in("a/x"))
	r.catchUp(t)
}

// The limit is reached by a folder that is made later: only the tree around it
// is polled, and what is watched already is still quick.
func TestLimitReachedLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(path string) string { return filepath.Join(dir, path) }
	put(t, in("a/x/y"))
	put(t, in("b/x"))
	var l limit
	var log journal
	l.set(0, nil)
	r := reading(t, Options{Poll: 4 * settleFor, add: l.add, Log: log.logger()}, []string{in("a"), in("b")}, nil)
	l.set(0, syscall.ENOSPC)
	put(t, in("a/new/y"))
	r.catchUp(t)
	for range 3 {
		put(t, in("a/new/y"))
		if all := r.catchUp(t); slices.Contains(all.Trees, in("b")) {
			t.Errorf("%+v", all)
		}
	}
	log.expect(t, []string{"cannot watch", `["` + in("a") + `"]`, "max_user_watches"})
	l.set(0, nil)
	await(t, r, func() bool { log.Lock(); defer log.Unlock(); return len(log.lines) > 0 })
	log.expect(t, []string{"watching again"})
}

// A link's target may be what there is no watch left for.
func TestLimitReachedByTheTargetOfALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(path string) string { return filepath.Join(dir, path) }
	put(t, in("outside/web.hcl"))
	link(t, "../outside/web.hcl", in("a/web.hcl"))
	add := func(w *fsnotify.Watcher, path string) error {
		if path == in("outside") {
			return syscall.ENOSPC
		}
		return w.Add(path)
	}
	r := reading(t, Options{Poll: 4 * settleFor, add: add}, []string{in("a")}, nil)
	for range 2 {
		put(t, in("outside/web.hcl"))
		r.catchUp(t)
	}
}

// Where others may change files unheard, events count and the clock as well.
func TestNetworkFileSystem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(path string) string { return filepath.Join(dir, path) }
	put(t, in("a/x/y"))
	var log journal
	r := reading(t, Options{Poll: 8 * settleFor, Log: log.logger(), remote: func(string) bool { return true }}, []string{in("a")}, []string{in("f")})
	for range 3 {
		c := r.next(t)
		for !slices.Equal(c.Trees, r.trees) || !slices.Equal(c.Files, r.files) {
			c = r.next(t)
		}
	}
	put(t, in("a/x/y"))
	await(t, r, func() bool { return len(r.differ()) == 0 })
	log.expect(t, []string{"cannot watch", "network file system"})
}

// again runs a test by itself in a process that is wrapped in others.
func again(t *testing.T, change func(*exec.Cmd), argv ...string) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o777))
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err, os.WriteFile(filepath.Join(dir, "watch.test"), self, 0o755))
	argv = append(argv, filepath.Join(dir, "watch.test"), "-test.v", "-test.run=^"+t.Name()+"$")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "WATCH_TEST_AGAIN=1", "TMPDIR="+dir, "GOCOVERDIR="+dir)
	if change != nil {
		change(cmd)
	}
	out, err := cmd.CombinedOutput()
	if !strings.Contains(string(out), "=== RUN") {
		t.Skipf("%v: %s", err, out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}

func isAgain() bool { return os.Getenv("WATCH_TEST_AGAIN") != "" }

// Root may read everything, so this is for somebody else.
func TestFoldersThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		again(t, func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		})
		return
	}
	for _, c := range []struct {
		name   string
		locked string // mode 0 at first
		modes  []os.FileMode
	}{
		{"in the tree", "jobs/a", []os.FileMode{0o755}},
		{"the root", "jobs", []os.FileMode{0o755}},
		{"above the root", "", []os.FileMode{0o755}},
		{"in the tree, entered before it is read", "jobs/a", []os.FileMode{0o311, 0o755}},
		{"in the tree, read before it is entered", "jobs/a", []os.FileMode{0o644, 0o755}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "up")
			in := func(path string) string { return filepath.Join(dir, path) }
			put(t, in("jobs/a/b/web.hcl"))
			put(t, in("jobs/other.hcl"))
			must(t, os.Chmod(in(c.locked), 0))
			defer os.Chmod(in(c.locked), 0o755)
			var log journal
			r := reading(t, Options{Log: log.logger()}, []string{in("jobs")}, nil)
			for _, mode := range c.modes {
				must(t, os.Chmod(in(c.locked), mode))
				r.catchUp(t)
			}
			put(t, in("jobs/a/b/web.hcl"))
			put(t, in("jobs/a/b/c/web.hcl"))
			r.catchUp(t)
			must(t, os.Chmod(in(c.locked), 0))
			r.catchUp(t)
		})
	}
}

// A parent that may be entered but not listed, and so not watched, is no reason
// to poll a tree below it.
func TestParentThatMayNotBeListed(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		again(t, func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		})
		return
	}
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	put(t, filepath.Join(home, "jobs", "web.hcl"))
	put(t, filepath.Join(home, "f"))
	must(t, os.Chmod(home, 0o311))
	defer os.Chmod(home, 0o755)
	var log journal
	r := reading(t, Options{Poll: 4 * settleFor, Log: log.logger()}, []string{filepath.Join(home, "jobs")}, nil)
	drain(t, r)
	r.still(t)
	must(t, os.WriteFile(filepath.Join(home, "jobs", "web.hcl"), []byte("a"), 0o644))
	r.catchUp(t)
	log.expect(t)
	// A single file there is another matter.
	r.files = []string{filepath.Join(home, "f")}
	r.Set(r.trees, r.files)
	for range 2 {
		must(t, os.WriteFile(filepath.Join(home, "f"), []byte(strconv.Itoa(int(puts.Add(1)))+"x"), 0o644))
		r.catchUp(t)
	}
	log.expect(t, []string{"cannot watch", filepath.Join(home, "f"), "permission denied"})
	// And a tree that is gone: nothing tells of its return.
	must(t, os.Remove(filepath.Join(home, "jobs", "web.hcl")), os.Remove(filepath.Join(home, "jobs")))
	r.catchUp(t)
	put(t, filepath.Join(home, "jobs", "a", "web.hcl"))
	r.catchUp(t)
}
