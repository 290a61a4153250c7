package watch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type kind int

const (
	aTree kind = iota
	aFile
	aLink
)

// lookup is a path on the way to what it means. Every entry that it passes,
// through folders and links, is one that can be replaced, made or removed, and
// then it means something else.
type lookup struct {
	kind    kind
	path    string // as in Set; for a link the real folder that it lies in
	start   string // the real folder where the looking begins
	rest    string // the way from there
	through []place
	real    string // what it means; empty while there is nothing
	blind   error  // why events cannot tell that it moved
	partly  error  // why they cannot for something below it
	said    string // what was last said of it
	gone    bool   // a link whose folder was read anew
}

// place is one entry that a lookup passes.
type place struct {
	in   *folder
	name string
}

// maxLinks is where the kernel gives up, too.
const maxLinks = 40

// look finds out what a lookup means by now.
func (o *owner) look(l *lookup) {
	if l.gone {
		return
	}
	o.release(l)
	l.real, l.blind = "", nil
	o.follow(l)
	switch {
	case l.kind == aTree && l.real != "":
		o.enter(l)
	case l.kind == aLink && l.blind != nil && limitOf(l.blind) != "":
		o.partly(l.path, l.blind)
	}
}

// follow goes the way of a lookup and watches the folders on it. Each is watched
// before its entry is read, so that nothing falls in between.
func (o *owner) follow(l *lookup) {
	at, links := l.start, 0
	for rest := split(l.rest); len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			at = filepath.Dir(at)
			continue
		}
		watched := o.pass(l, at, name)
		at = filepath.Join(at, name)
		info, err := os.Lstat(at)
		l.judge(watched, info, err)
		switch {
		case err != nil || links > maxLinks:
			return
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(at)
			if err != nil {
				return
			}
			links++
			at = filepath.Dir(at)
			if filepath.IsAbs(target) {
				at = "/"
			}
			rest = append(split(target), rest...)
		case !info.IsDir() && len(rest) > 0:
			return
		}
	}
	l.real = at
}

func split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" || s == "." })
}

// pass watches the folder at a real path for what becomes of one entry.
func (o *owner) pass(l *lookup, at, name string) error {
	f, _, err := o.watch(at)
	if err != nil {
		return err
	}
	if !slices.Contains(f.passing[name], l) {
		f.passing[name] = append(f.passing[name], l)
		l.through = append(l.through, place{f, name})
	}
	if l.kind == aFile && o.isFar(f) {
		return errRemote
	}
	return nil
}

// judge tells whether an entry whose folder is not watched has to be polled. A
// subfolder has not: it says itself when it is moved or removed.
func (l *lookup) judge(watched error, info fs.FileInfo, err error) {
	switch {
	case watched == nil, vanished(watched), l.blind != nil && limitOf(l.blind) != "":
	case errors.Is(watched, fs.ErrPermission) && err == nil && info.IsDir():
	default:
		l.blind = watched
	}
}

// enter watches a tree, if it is one. All of it is named: who looked it up has
// seen to that.
func (o *owner) enter(l *lookup) {
	l.partly = nil
	if info, err := os.Lstat(l.real); err == nil && info.IsDir() {
		o.walk(l.real)
	}
}

func (o *owner) release(l *lookup) {
	for _, p := range l.through {
		left := slices.DeleteFunc(p.in.passing[p.name], func(other *lookup) bool { return other == l })
		if len(left) == 0 {
			delete(p.in.passing, p.name)
		} else {
			p.in.passing[p.name] = left
		}
	}
	l.through = nil
}
