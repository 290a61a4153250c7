package watch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// folder is one that fsnotify watches, under its real path: fsnotify gives each
// folder the one path that it was first added with.
type folder struct {
	path    string
	id      id
	tree    bool                 // lies in a tree: whatever moves in it is of interest
	was     bool                 // did so before the last rebuild
	passing map[string][]*lookup // by entry: the lookups that go through it
	links   []*lookup            // one for each link in it, if it lies in a tree
}

type id struct{ dev, ino uint64 }

func idOf(info fs.FileInfo) (i id) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		i = id{uint64(s.Dev), s.Ino} // Dev is signed elsewhere
	}
	return i
}

var (
	errTwin   = errors.New("the same folder is mounted in two places, and events come for one")
	errRemote = errors.New("a network file system does not tell of what others change")
)

// sync brings what is watched in line with what is there, and reports whether
// new folders were found.
func (o *owner) sync() (grew bool) {
	o.full = nil
	o.dropSuspects()
	if o.todo.lost || o.todo.verify {
		o.rebuild()
	}
	known := o.found
	for len(o.todo.looks)+len(o.todo.scans) > 0 {
		looks, scans := o.todo.looks, o.todo.scans
		o.todo.looks, o.todo.scans = map[*lookup]bool{}, map[string]bool{}
		for l := range looks {
			o.look(l)
		}
		for path := range scans {
			if f := o.folders[path]; f != nil && f.tree {
				o.scan(f, false)
			}
		}
	}
	o.sweep()
	o.judge()
	return o.found > known
}

// rebuild looks everything up as if for the first time, but keeps the watches
// that still are what they were.
func (o *owner) rebuild() {
	o.reopen()
	o.dropDead()
	for _, f := range o.folders {
		f.was, f.tree, f.passing, f.links = f.tree, false, map[string][]*lookup{}, nil
	}
	clear(o.todo.looks)
	for _, l := range slices.Concat(o.trees, o.files) {
		l.through, l.partly = nil, nil
		o.todo.looks[l] = true
	}
	o.todo.lost, o.todo.verify = false, false
}

// dropDead forgets the watches that fsnotify no longer has, as after an unmount,
// and those of folders that are others by now. After a loss of events nothing
// can be believed: to drop everything is to name everything.
func (o *owner) dropDead() {
	alive := map[string]bool{}
	if o.fs != nil && !o.todo.lost {
		for _, path := range o.fs.WatchList() {
			alive[path] = true
		}
	}
	for path, f := range o.folders {
		if !alive[path] || !f.same() {
			o.drop(f)
		}
	}
}

func (f *folder) same() bool {
	info, err := os.Lstat(f.path)
	return err == nil && info.IsDir() && idOf(info) == f.id
}

func (o *owner) dropSuspects() {
	if len(o.todo.suspects) == 0 {
		return
	}
	o.dropBelow(o.todo.suspects)
	o.todo.suspects = map[string]bool{}
}

func (o *owner) dropBelow(roots map[string]bool) {
	for path, f := range o.folders {
		if atOrAbove(roots, path) {
			o.drop(f)
		}
	}
}

// drop gives a watch up, and has looked at again whatever needed it. fsnotify
// may have given it up already: then Remove has nothing to do.
func (o *owner) drop(f *folder) {
	o.forget(f)
	for _, passing := range f.passing {
		for _, l := range passing {
			o.todo.look(l)
		}
	}
	o.dropLinks(f)
	if !f.tree {
		return
	}
	o.todo.subtrees[f.path] = true
	o.todo.scans[filepath.Dir(f.path)] = true
	for _, t := range o.trees {
		if t.real == f.path {
			o.todo.look(t)
		}
	}
}

func (o *owner) dropLinks(f *folder) {
	for _, l := range f.links {
		o.release(l)
		l.gone = true
	}
	f.links = nil
}

func (o *owner) forget(f *folder) {
	if o.fs != nil {
		_ = o.fs.Remove(f.path)
	}
	delete(o.folders, f.path)
	if o.ids[f.id] == f {
		delete(o.ids, f.id)
	}
}

// sweep gives up what nothing needs any more.
func (o *owner) sweep() {
	for _, f := range o.folders {
		if !f.tree && len(f.passing) == 0 {
			o.forget(f)
		}
	}
}

// watch is the folder at a real path, watched from now on. Whoever reads the
// folder does it afterwards, so that nothing falls in between.
func (o *owner) watch(path string) (f *folder, fresh bool, err error) {
	if f := o.folders[path]; f != nil {
		return f, false, nil
	}
	if err := o.hindrance(); err != nil {
		return nil, false, err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, false, err
	}
	if !info.IsDir() {
		return nil, false, &fs.PathError{Op: "watch", Path: path, Err: syscall.ENOTDIR}
	}
	f = &folder{path: path, id: idOf(info), passing: map[string][]*lookup{}}
	if other := o.ids[f.id]; other != nil {
		if other.same() {
			return nil, false, errTwin
		}
		// Renamed, and the event is still to come. As long as fsnotify has it
		// under the old path, it would not take the new one, and on the event
		// take the watch away.
		o.dropBelow(map[string]bool{other.path: true})
	}
	if err := o.add(o.fs, path); err != nil {
		return nil, false, o.refused(path, err)
	}
	delete(o.said, path)
	o.folders[path], o.ids[f.id] = f, f
	return f, true, nil
}

func (o *owner) hindrance() error {
	if o.fs == nil {
		return o.noFS
	}
	return o.full
}

// refused keeps a limit in mind, so that a round asks in vain once only.
func (o *owner) refused(path string, err error) error {
	if limitOf(err) != "" {
		o.full = err
	}
	if !vanished(err) {
		o.complain(&fs.PathError{Op: "watch", Path: path, Err: err})
	}
	return err
}

// vanished means that there was a folder when its parent was read: there is an
// event to come that tells of it.
func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// isFar tells whether a folder's changes may be made on another machine.
func (o *owner) isFar(f *folder) bool {
	far, known := o.far[f.id.dev]
	if !known {
		far = o.remote(f.path)
		o.far[f.id.dev] = far
	}
	return far
}

// walk watches a folder and all below it, and names what was not watched before.
func (o *owner) walk(path string) {
	f, fresh, err := o.watch(path)
	if err != nil {
		o.unwatched(path, err)
		return
	}
	if fresh || !f.tree && !f.was {
		o.todo.subtrees[path] = true
		o.found++
	}
	f.tree, f.was = true, true
	if o.isFar(f) {
		o.partly(path, errRemote)
	}
	o.scan(f, true)
}

// unwatched is for a folder in a tree. One that is gone was seen to go. One that
// may not be read is seen when its mode changes. All else has to be polled.
func (o *owner) unwatched(path string, err error) {
	switch {
	case vanished(err):
	case errors.Is(err, fs.ErrPermission):
		if o.said[path] != err.Error() {
			o.said[path] = err.Error()
			o.Log.Info("a folder may not be read, nor watched until its mode is changed", "path", path, "reason", err.Error())
		}
	default:
		o.partly(path, err)
	}
}

// partly notes that of the trees around a folder not all can be watched.
func (o *owner) partly(path string, err error) {
	for _, t := range o.trees {
		if rel, ok := below(t.real, path); ok && t.real != "" && !hidden(rel) && (t.partly == nil || t.partly == errRemote) {
			t.partly = err
		}
	}
}

// scan compares what is watched with a folder's subfolders and links; deep goes
// into those subfolders too that are watched already. Hidden ones hold no job
// files, but our own state and Git's, which move whenever we do something.
func (o *owner) scan(f *folder, deep bool) {
	entries, err := list(f.path)
	if err != nil {
		o.unwatched(f.path, err)
	}
	o.dropLinks(f)
	for _, e := range entries {
		path := filepath.Join(f.path, e.Name())
		switch {
		case e.Type()&fs.ModeSymlink != 0:
			l := &lookup{kind: aLink, path: f.path, start: f.path, rest: e.Name()}
			f.links = append(f.links, l)
			o.look(l)
		case !e.IsDir() || strings.HasPrefix(e.Name(), "."):
		case deep || o.folders[path] == nil || !o.folders[path].tree:
			o.walk(path)
		}
	}
}

// list does not sort, unlike os.ReadDir.
func list(path string) ([]fs.DirEntry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

// views are the names under which the trees of Set show a real folder.
func (o *owner) views(real string) []string {
	var seen []string
	for _, t := range o.trees {
		if rel, ok := below(t.real, real); ok && t.real != "" && !hidden(rel) {
			seen = append(seen, filepath.Join(t.path, rel))
		}
	}
	return seen
}
