package jobspec

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/hashicorp/go-cty-funcs/filesystem"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// FS says where the filesystem functions of a job file look. The zero value
// refuses them.
type FS struct {
	// Dirs are the folders that relative paths start from; the first that has the
	// file wins. Without a Root only the first counts, as the working directory
	// does for Nomad's CLI.
	Dirs []string
	// Root confines: nothing outside of this folder is read, by .., absolute path or
	// symlink. Empty is no limit.
	Root string
	// Note is told each path, absolute where Dirs are, before it is looked at, be there
	// something or not: what the file depends on beside its own bytes. It may be nil.
	Note func(path string)
}

func (f FS) note(path string) {
	if f.Note != nil {
		f.Note(path)
	}
}

var fsFunctions = map[string]bool{
	"abspath": true, "basename": true, "dirname": true, "file": true,
	"filebase64": true, "fileexists": true, "fileset": true, "pathexpand": true,
}

func (f FS) functions() map[string]function.Function {
	switch {
	case len(f.Dirs) == 0:
		all := FS{Dirs: []string{"."}}.functions()
		for name, fn := range all {
			all[name] = refused(fn)
		}
		return all
	case f.Root == "":
		return unconfined(f.Dirs[0])
	}
	return map[string]function.Function{
		"abspath":    stringFunction([]string{"path"}, cty.String, f.abs),
		"basename":   filesystem.BasenameFunc,
		"dirname":    filesystem.DirnameFunc,
		"pathexpand": filesystem.PathExpandFunc,
		"file":       stringFunction([]string{"path"}, cty.String, f.text),
		"filebase64": stringFunction([]string{"path"}, cty.String, f.base64),
		"fileexists": stringFunction([]string{"path"}, cty.Bool, f.exists),
		"fileset":    stringFunction([]string{"path", "pattern"}, cty.Set(cty.String), f.set),
	}
}

func unconfined(dir string) map[string]function.Function {
	return map[string]function.Function{
		"abspath":    filesystem.AbsPathFunc,
		"basename":   filesystem.BasenameFunc,
		"dirname":    filesystem.DirnameFunc,
		"pathexpand": filesystem.PathExpandFunc,
		"file":       filesystem.MakeFileFunc(dir, false),
		"filebase64": filesystem.MakeFileFunc(dir, true),
		"fileexists": filesystem.MakeFileExistsFunc(dir),
		"fileset":    filesystem.MakeFileSetFunc(dir),
	}
}

var errNoFS = errors.New("filesystem functions are not available for this job file")

// refused keeps a function's parameters, so that every other mistake is still
// reported.
func refused(fn function.Function) function.Function {
	return function.New(&function.Spec{
		Params:   fn.Params(),
		VarParam: fn.VarParam(),
		Type:     func([]cty.Value) (cty.Type, error) { return cty.DynamicPseudoType, errNoFS },
		Impl:     func([]cty.Value, cty.Type) (cty.Value, error) { return cty.DynamicVal, errNoFS },
	})
}

func stringFunction(params []string, result cty.Type, impl func(args []string) (cty.Value, error)) function.Function {
	spec := &function.Spec{Type: function.StaticReturnType(result)}
	for _, name := range params {
		spec.Params = append(spec.Params, function.Parameter{Name: name, Type: cty.String})
	}
	spec.Impl = func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		texts := make([]string, len(args))
		for i, a := range args {
			texts[i] = a.AsString()
		}
		return impl(texts)
	}
	return function.New(spec)
}

func (f FS) abs(args []string) (cty.Value, error) {
	if filepath.IsAbs(args[0]) {
		return cty.StringVal(filepath.ToSlash(filepath.Clean(args[0]))), nil
	}
	path, err := filepath.Abs(filepath.Join(f.Dirs[0], args[0]))
	return cty.StringVal(filepath.ToSlash(path)), err
}

func (f FS) text(args []string) (cty.Value, error) {
	b, err := f.read(args[0])
	if err != nil {
		return cty.UnknownVal(cty.String), err
	}
	if !utf8.Valid(b) {
		return cty.UnknownVal(cty.String), fmt.Errorf("contents of %s are not valid UTF-8; filebase64 reads any file", args[0])
	}
	return cty.StringVal(string(b)), nil
}

func (f FS) base64(args []string) (cty.Value, error) {
	b, err := f.read(args[0])
	if err != nil {
		return cty.UnknownVal(cty.String), err
	}
	return cty.StringVal(base64.StdEncoding.EncodeToString(b)), nil
}

func (f FS) exists(args []string) (cty.Value, error) {
	for _, dir := range f.Dirs {
		info, err := f.stat(join(dir, args[0]))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return cty.UnknownVal(cty.Bool), err
		case info.Mode().IsRegular():
			return cty.True, nil
		default:
			return cty.UnknownVal(cty.Bool), fmt.Errorf("%s is not a regular file, but %s", args[0], info.Mode())
		}
	}
	return cty.False, nil
}

// set lists the regular files below a folder that match a pattern, by their
// paths relative to the folder.
func (f FS) set(args []string) (cty.Value, error) {
	var found []cty.Value
	for _, dir := range f.Dirs {
		base := join(dir, args[0])
		if _, err := f.stat(base); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		matches, err := doublestar.FilepathGlob(filepath.Join(base, args[1]))
		if err != nil {
			return cty.UnknownVal(cty.Set(cty.String)), fmt.Errorf("pattern %q: %w", args[1], err)
		}
		for _, path := range matches {
			info, err := f.stat(path)
			if err != nil {
				return cty.UnknownVal(cty.Set(cty.String)), err
			}
			rel, err := filepath.Rel(base, path)
			if err == nil && info.Mode().IsRegular() {
				found = append(found, cty.StringVal(filepath.ToSlash(rel)))
			}
		}
		break
	}
	if len(found) == 0 {
		return cty.SetValEmpty(cty.String), nil
	}
	return cty.SetVal(found), nil
}

func (f FS) read(path string) ([]byte, error) {
	for _, dir := range f.Dirs {
		b, err := f.open(join(dir, path))
		if !errors.Is(err, fs.ErrNotExist) {
			return b, err
		}
	}
	return nil, fmt.Errorf("no file %q in %s", path, strings.Join(f.Dirs, " or "))
}

func join(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

func (f FS) open(path string) ([]byte, error) {
	f.note(path)
	var b []byte
	err := f.inRoot(path, func(r *os.Root, rel string) (err error) {
		info, err := r.Stat(rel) // asked first: to open a pipe waits for ever
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file, but %s", path, info.Mode())
		}
		b, err = r.ReadFile(rel)
		return err
	})
	return b, err
}

func (f FS) stat(path string) (fs.FileInfo, error) {
	f.note(path)
	var info fs.FileInfo
	err := f.inRoot(path, func(r *os.Root, rel string) (err error) {
		info, err = r.Stat(rel)
		return err
	})
	return info, err
}

// inRoot does something below Root. os.Root refuses symlinks that lead out of it.
func (f FS) inRoot(path string, do func(r *os.Root, rel string) error) error {
	root, err := filepath.Abs(f.Root)
	if err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	rel, err := filepath.Rel(root, path)
	if err != nil || !filepath.IsLocal(rel) {
		return fmt.Errorf("%s is outside of %s, which job files of this source may not leave", path, f.Root)
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer r.Close()
	return do(r, rel)
}
