// Package source is where job files come from and go to: a folder today. It
// lists, reads, makes and durably replaces them, and never decides anything.
package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Directory is a folder of job files: the `source "directory"` block.
type Directory struct {
	Name      string   // the block's label
	Path      string   // absolute
	Shown     string   // Path as users wrote it; what Document.Name starts with. Empty means Path.
	Include   []string // globs relative to Path; `**` crosses folders
	Exclude   []string // globs relative to Path that win over Include
	Namespace string   // for jobs whose file does not say
}

// Document is one file as it was read.
type Document struct {
	Name  string      // the path as users see it
	Path  string      // absolute
	Bytes []byte      // the whole content
	Mode  fs.FileMode // permission bits
}

// The refusals of Read and Write; the errors returned wrap them and name the file.
var (
	ErrChanged    = errors.New("the file changed since it was read; nothing was written: run the command again to plan with what it holds now")
	ErrReadOnly   = errors.New("the file is read-only; nothing was written: make it writable (chmod u+w) or leave it out of the source with `exclude`")
	ErrNotAllowed = errors.New("this user may not write the file; nothing was written: give the user that right (setfacl once more, where access control lists give it: a chmod takes it away), or leave the file out of the source with `exclude`")
	ErrNotRegular = errors.New("not a regular file: leave it out of the source with `exclude`")
	ErrOutside    = errors.New("a symlink that leads out of the source: give the source the folder where the file really is, or leave the link out with `exclude`")
)

// List is the absolute paths of the files that Include names and Exclude does
// not, sorted. Folders whose name starts with a dot and symlinked folders are not
// searched. A folder that cannot be read is an error: unknown is not absent.
func (d Directory) List() ([]string, error) {
	if info, err := os.Stat(d.Path); err != nil || !info.IsDir() {
		return nil, d.missing(err)
	}
	if name, ok := d.single(); ok {
		return d.listSingle(name)
	}
	return d.below(".", func(string) error { return nil })
}

// ListIn is what List gives of one folder at or below Path, by its path relative to
// Path; with deep, also of the folders below it. folders are those that it did not
// search. A folder that is not there has nothing; it is not asked whether Path is.
func (d Directory) ListIn(rel string, deep bool) (paths, folders []string, err error) {
	for part := range strings.SplitSeq(filepath.ToSlash(rel), "/") {
		if part != "." && strings.HasPrefix(part, ".") {
			return nil, nil, nil
		}
	}
	paths, err = d.below(filepath.ToSlash(rel), func(below string) error {
		if deep {
			return nil
		}
		folders = append(folders, filepath.Join(d.Path, filepath.FromSlash(below)))
		return fs.SkipDir
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	return paths, folders, err
}

// below walks from the folder start on and asks enter about every other.
func (d Directory) below(start string, enter func(rel string) error) ([]string, error) {
	var paths []string
	walk := func(rel string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case rel == start:
			return nil
		case entry.IsDir():
			if err := skipHidden(rel); err != nil {
				return err
			}
			return enter(rel)
		}
		matched, err := d.matches(rel)
		if matched && !d.isFolder(rel, entry) {
			paths = append(paths, filepath.Join(d.Path, filepath.FromSlash(rel)))
		}
		return err
	}
	if err := fs.WalkDir(os.DirFS(d.Path), start, walk); err != nil {
		return nil, fmt.Errorf("listing source %q (%s): %w", d.Name, d.shown(), err)
	}
	slices.Sort(paths)
	return paths, nil
}

// single is the one file that Include can name, if it is written out.
func (d Directory) single() (string, bool) {
	if len(d.Include) != 1 || strings.ContainsAny(d.Include[0], `*?[{/\`) {
		return "", false
	}
	return d.Include[0], true
}

// listSingle looks at that file alone: the folder around it may be large.
func (d Directory) listSingle(name string) ([]string, error) {
	excluded, err := matchAny(d.Exclude, name)
	if err != nil || excluded {
		return nil, err
	}
	info, err := os.Lstat(filepath.Join(d.Path, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing source %q (%s): %w", d.Name, d.shown(), err)
	}
	if entry := fs.FileInfoToDirEntry(info); entry.IsDir() || d.isFolder(name, entry) {
		return nil, nil
	}
	return []string{filepath.Join(d.Path, name)}, nil
}

// Read is the file at an absolute path that List gave. With an error the document
// has its names alone.
func (d Directory) Read(path string) (Document, error) {
	rel, err := filepath.Rel(d.Path, path)
	if err != nil {
		return Document{Name: path, Path: path}, fmt.Errorf("reading %s: %w", path, err)
	}
	name := filepath.Join(d.shown(), rel)
	doc, err := Read(d.Path, path, name)
	if err != nil {
		return Document{Name: name, Path: path}, err
	}
	return doc, nil
}

func (d Directory) shown() string {
	if d.Shown != "" {
		return d.Shown
	}
	return d.Path
}

func (d Directory) missing(err error) error {
	why := "there is no such folder"
	switch {
	case err == nil:
		why = "that is not a folder"
	case !errors.Is(err, fs.ErrNotExist):
		why = err.Error()
	}
	return fmt.Errorf("source \"directory\" %q: %s: %s; make it, or correct `path` in that block of the configuration", d.Name, d.shown(), why)
}

func skipHidden(rel string) error {
	if name := filepath.Base(rel); rel != "." && strings.HasPrefix(name, ".") {
		return fs.SkipDir
	}
	return nil
}

func (d Directory) matches(rel string) (bool, error) {
	included, err := matchAny(d.Include, rel)
	if err != nil || !included {
		return false, err
	}
	excluded, err := matchAny(d.Exclude, rel)
	return !excluded, err
}

func matchAny(globs []string, rel string) (bool, error) {
	for _, glob := range globs {
		ok, err := doublestar.Match(glob, rel)
		if err != nil {
			return false, fmt.Errorf("glob %q: %w", glob, err)
		}
		if ok {
			return true, nil
		}
	}
	return false, nil
}

// isFolder is for links: one that leads nowhere is a file that cannot be read.
func (d Directory) isFolder(rel string, entry fs.DirEntry) bool {
	if entry.Type()&fs.ModeSymlink == 0 {
		return false
	}
	info, err := os.Stat(filepath.Join(d.Path, filepath.FromSlash(rel)))
	return err == nil && info.IsDir()
}
