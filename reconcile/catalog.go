package reconcile

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/source"
)

// Catalog knows the job files of sources, and of each that was read which job it
// declares. It looks at stats alone, so that what did not move is not read again.
// Its methods may be called from several goroutines.
type Catalog struct {
	sources []Source
	clock   func() time.Time

	mu     sync.Mutex
	files  map[string]*entry // by absolute path
	jobs   map[job.ID][]string
	failed map[string]error // sources that could not be listed, by name
}

// entry is one file. Until it has been read, and whenever it may have moved since,
// it is stale.
type entry struct {
	source *Source
	link   bool // what it shows may move without an event where it stands
	stale  bool
	read   Reading
	kind   reading
}

// reading is what a file turned out to be.
type reading int

const (
	unknown reading = iota // it was never read
	noJob
	declares // the job of Reading.ID
	unread   // it cannot be read whole, but says which job it means
	unnamed  // ... nor even that
)

// Reading is what was read at one moment: the file and what its functions have looked
// at, with their stamps from before.
type Reading struct {
	ID    job.ID
	Stamp source.Stamp
	Deps  map[string]source.Stamp
}

// Moved is what may be another than it was: jobs, and files of which it is not known
// yet which jobs they declare.
type Moved struct {
	Jobs  []job.ID
	Files []string
}

// NewCatalog knows nothing yet: see Refresh.
func NewCatalog(sources []Source, clock func() time.Time) *Catalog {
	return &Catalog{sources: sources, clock: clock, files: map[string]*entry{}, jobs: map[job.ID][]string{}, failed: map[string]error{}}
}

// Refresh looks at every file of every source. The files of a source that cannot be
// listed stay what they were: unknown is not absent.
func (c *Catalog) Refresh() Moved {
	c.mu.Lock()
	defer c.mu.Unlock()
	var m moves
	for i := range c.sources {
		s := &c.sources[i]
		paths, err := s.List()
		if err != nil {
			c.failed[s.Name] = err
			continue
		}
		delete(c.failed, s.Name)
		c.listed(&m, s, paths, func(e *entry, _ string) bool { return e.source == s })
	}
	return m.sorted()
}

// Look is Refresh for some folders: what stands in dirs, and in trees with all below.
func (c *Catalog) Look(dirs, trees []string) Moved {
	c.mu.Lock()
	defer c.mu.Unlock()
	var m moves
	for i := range c.sources {
		s := &c.sources[i]
		for _, tree := range trees {
			c.lookIn(&m, s, tree, true)
		}
		for _, dir := range dirs {
			c.lookIn(&m, s, dir, false)
		}
	}
	for path, e := range c.files { // what they depend on may be anywhere
		if (e.link || len(e.read.Deps) > 0) && !e.stale {
			c.stat(&m, path, e, e.stamp(path))
		}
	}
	return m.sorted()
}

// lookIn looks at one folder of a source, named as the source names it or as its
// links resolve. One that the source lies in may be all of it.
func (c *Catalog) lookIn(m *moves, s *Source, dir string, deep bool) {
	rel, ok := s.relative(dir)
	if !ok {
		if _, above := below(dir, s.Path); !above {
			return
		}
		rel, deep = ".", true
	}
	if c.failed[s.Name] != nil || !isFolder(s.Path) { // all of it, then, or why not
		paths, err := s.List()
		if err != nil {
			c.failed[s.Name] = err
			return
		}
		delete(c.failed, s.Name)
		c.listed(m, s, paths, func(e *entry, _ string) bool { return e.source == s })
		return
	}
	paths, folders, err := s.ListIn(rel, deep)
	if err != nil {
		c.failed[s.Name] = err
		return
	}
	here := filepath.Join(s.Path, rel)
	c.listed(m, s, paths, func(e *entry, path string) bool {
		at, in := below(here, path)
		if e.source != s || !in {
			return false
		}
		first, _, deeper := strings.Cut(at, string(filepath.Separator))
		return deep || !deeper || !slices.Contains(folders, filepath.Join(here, first))
	})
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func (s *Source) relative(dir string) (string, bool) {
	if rel, ok := below(s.Path, dir); ok {
		return rel, true
	}
	real, err := filepath.EvalSymlinks(s.Path)
	if err != nil {
		return "", false
	}
	return below(real, dir)
}

// below is path relative to root, which it is in or is.
func below(root, path string) (string, bool) {
	if path == root {
		return ".", true
	}
	return strings.CutPrefix(path, strings.TrimSuffix(root, "/")+"/")
}

// listed takes in the files that a folder has; of those known, the ones that within
// counts to the folder and that it has no more are gone.
func (c *Catalog) listed(m *moves, s *Source, paths []string, within func(*entry, string) bool) {
	have := make(map[string]bool, len(paths))
	for _, path := range paths {
		have[path] = true
		e := c.files[path]
		if e == nil {
			e = &entry{source: s, stale: true}
			c.files[path] = e
		}
		c.stat(m, path, e, e.stamp(path))
	}
	for path, e := range c.files {
		if !have[path] && within(e, path) {
			delete(c.files, path)
			c.undeclare(path, e)
			m.add(path, e)
		}
	}
}

// stamp is the file's own now, and notes whether it is a link. One stat is enough for
// those that are none: where thousands of files share a folder, that is what one saved
// among them takes.
func (e *entry) stamp(path string) source.Stamp {
	info, err := os.Lstat(path)
	e.link = err == nil && info.Mode()&os.ModeSymlink != 0
	if err != nil || e.link {
		return source.StampOf(path)
	}
	return source.StampIn(info)
}

// stat notes whether a file or what it depends on has moved since it was read.
func (c *Catalog) stat(m *moves, path string, e *entry, now source.Stamp) {
	if !e.stale && now == e.read.Stamp && unmoved(e.read.Deps) {
		return
	}
	e.stale = true
	m.add(path, e)
}

func unmoved(deps map[string]source.Stamp) bool {
	for path, stamp := range deps {
		if source.StampOf(path) != stamp {
			return false
		}
	}
	return true
}

// moves collects without repeating.
type moves struct {
	jobs  map[job.ID]bool
	files map[string]bool
}

func (m *moves) add(path string, e *entry) {
	switch e.kind {
	case declares, unread:
		if m.jobs == nil {
			m.jobs = map[job.ID]bool{}
		}
		m.jobs[e.read.ID] = true
	default:
		if m.files == nil {
			m.files = map[string]bool{}
		}
		m.files[path] = true
	}
}

func (m *moves) sorted() Moved {
	return Moved{
		Jobs:  slices.SortedFunc(maps.Keys(m.jobs), job.ID.Compare),
		Files: slices.Sorted(maps.Keys(m.files)),
	}
}

// Files are those that declare a job, as far as they have been read.
func (c *Catalog) Files(id job.ID) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.jobs[id])
}

// Jobs are all jobs that files declare, and of each its one file's reading; with two
// files, or one that moved since, the zero one.
func (c *Catalog) Jobs() map[job.ID]Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[job.ID]Reading, len(c.jobs))
	for id, paths := range c.jobs {
		out[id] = Reading{}
		if e := c.files[paths[0]]; len(paths) == 1 && !e.stale {
			out[id] = e.read
		}
	}
	return out
}

// Reading is what the one file of a job was when it was read; false where there are
// several or it has moved since.
func (c *Catalog) Reading(id job.ID) (path string, r Reading, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	paths := c.jobs[id]
	if len(paths) != 1 || c.files[paths[0]].stale {
		return "", Reading{}, false
	}
	return paths[0], c.files[paths[0]].read, true
}

// Recall takes in what an earlier process has read, if the file is as it was then. A
// catalog that has just been refreshed is meant.
func (c *Catalog) Recall(path string, r Reading) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.files[path]
	if e == nil || e.kind != unknown || source.StampOf(path) != r.Stamp || !unmoved(r.Deps) {
		return false
	}
	e.kind, e.read, e.stale = declares, r, false
	c.declare(path, r.ID)
	return true
}

// Len is the number of files; left is how many of them have never been read.
func (c *Catalog) Len() (files, left int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.files {
		if e.kind == unknown {
			left++
		}
	}
	return len(c.files), left
}

// Failed says of the sources that could not be listed when they were last looked at why.
func (c *Catalog) Failed() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []error
	for _, name := range slices.Sorted(maps.Keys(c.failed)) {
		out = append(out, c.failed[name])
	}
	return out
}

// Whole reports whether every file of every source was read.
func (c *Catalog) Whole() bool {
	whole, _ := c.whole()
	return whole
}

// whole reports whether every file of every source was read; named, whether at least
// all of them say which job they mean.
func (c *Catalog) whole() (whole, named bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	whole, named = len(c.failed) == 0, len(c.failed) == 0
	for _, e := range c.files {
		whole = whole && (e.kind == declares || e.kind == noJob)
		named = named && e.kind != unnamed && e.kind != unknown
	}
	return whole, named
}

func (c *Catalog) source(path string) (*Source, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.files[path]
	if e == nil {
		return nil, false
	}
	return e.source, true
}

// note takes in what a file was read as.
func (c *Catalog) note(path string, kind reading, r Reading, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.files[path]
	if e == nil { // it went away meanwhile
		return
	}
	c.undeclare(path, e)
	e.kind, e.read, e.stale = kind, r, !r.settled(at)
	if kind != noJob {
		c.declare(path, r.ID)
	}
}

func (r Reading) settled(at time.Time) bool {
	for _, stamp := range r.Deps {
		if !stamp.Settled(at) {
			return false
		}
	}
	return r.Stamp.Settled(at)
}

func (c *Catalog) declare(path string, id job.ID) {
	paths := append(c.jobs[id], path)
	slices.Sort(paths)
	c.jobs[id] = slices.Compact(paths)
}

func (c *Catalog) undeclare(path string, e *entry) {
	if e.kind == unknown || e.kind == noJob {
		return
	}
	left := slices.DeleteFunc(c.jobs[e.read.ID], func(p string) bool { return p == path })
	if c.jobs[e.read.ID] = left; len(left) == 0 {
		delete(c.jobs, e.read.ID)
	}
}
