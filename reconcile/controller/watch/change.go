package watch

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// todo is what events have brought up since the last Change: what to name, and
// what to look at before that.
type todo struct {
	dirs, subtrees map[string]bool // real folders to name
	trees, files   map[string]bool // to name, as in Set

	suspects map[string]bool  // whatever is watched here and below is watched anew
	looks    map[*lookup]bool // to look up again
	scans    map[string]bool  // folders whose subfolders and links to compare
	lost     bool             // events were lost: everything
	verify   bool             // see that everything is watched
}

func newTodo() todo {
	return todo{
		dirs: map[string]bool{}, subtrees: map[string]bool{}, trees: map[string]bool{}, files: map[string]bool{},
		suspects: map[string]bool{}, looks: map[*lookup]bool{}, scans: map[string]bool{},
	}
}

// name has a lookup named, as what it is.
func (t *todo) name(l *lookup) {
	switch l.kind {
	case aTree:
		t.trees[l.path] = true
	case aFile:
		t.files[l.path] = true
	case aLink:
		t.dirs[l.path] = true
	}
}

func (t *todo) look(l *lookup) {
	t.name(l)
	t.looks[l] = true
}

// silent means that there is nothing to tell.
func (t *todo) silent() bool {
	return len(t.dirs)+len(t.subtrees)+len(t.trees)+len(t.files) == 0
}

// take is what there is to name, with folders as views calls them, and forgets it.
func (t *todo) take(views func(string) []string) Change {
	c := Change{
		Dirs:  inView(t.dirs, views),
		Trees: append(inView(t.subtrees, views), slices.Collect(maps.Keys(t.trees))...),
		Files: slices.Collect(maps.Keys(t.files)),
	}
	*t = newTodo()
	return c
}

func inView(real map[string]bool, views func(string) []string) []string {
	var seen []string
	for path := range real {
		seen = append(seen, views(path)...)
	}
	return seen
}

func (c Change) empty() bool { return len(c.Dirs)+len(c.Trees)+len(c.Files) == 0 }

// merge is both, without what lies below a folder that is to be looked at wholly.
// That looking ends where another root of Set begins, which may be a link.
func (c Change) merge(d Change, roots map[string]bool) Change {
	named := map[string]bool{}
	for _, path := range slices.Concat(c.Trees, d.Trees) {
		named[path] = true
	}
	var m Change
	for path := range named {
		if roots[path] || !covered(named, roots, filepath.Dir(path)) {
			m.Trees = append(m.Trees, path)
		}
	}
	for _, path := range slices.Concat(c.Dirs, d.Dirs) {
		if !covered(named, roots, path) {
			m.Dirs = append(m.Dirs, path)
		}
	}
	m.Files = slices.Concat(c.Files, d.Files)
	for _, paths := range []*[]string{&m.Dirs, &m.Trees, &m.Files} {
		slices.Sort(*paths)
		*paths = slices.Compact(*paths)
	}
	return m
}

func covered(named, roots map[string]bool, path string) bool {
	for ; ; path = filepath.Dir(path) {
		if named[path] {
			return true
		}
		if roots[path] || path == "/" || path == "." {
			return false
		}
	}
}

// atOrAbove tells whether path or a folder above it is in the set.
func atOrAbove(set map[string]bool, path string) bool {
	for ; ; path = filepath.Dir(path) {
		if set[path] {
			return true
		}
		if path == "/" || path == "." {
			return false
		}
	}
}

// below is the way from root to path, if it leads down.
func below(root, path string) (string, bool) {
	if root == path {
		return "", true
	}
	if root != "/" {
		root += "/"
	}
	return strings.CutPrefix(path, root)
}

func hidden(rel string) bool { return strings.HasPrefix(rel, ".") || strings.Contains(rel, "/.") }
