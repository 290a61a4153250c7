package reconcile

import (
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/source"
)

// List is what Directory lists; of a source of one text, that text.
func (s *Source) List() ([]string, error) {
	if s.Text != nil {
		return []string{s.Text.Path}, nil
	}
	return s.Directory.List()
}

// Read is the file at an absolute path that List gave.
func (s *Source) Read(path string) (source.Document, error) {
	if s.Text != nil {
		return *s.Text, nil
	}
	return s.Directory.Read(path)
}

// JobVars are the variable files of those job files of a source that a glob
// matches: by their path relative to the source or, without a slash, by their
// name alone.
type JobVars struct {
	Glob  string
	Files []jobspec.VarFile
}

// Where the filesystem functions of a source's job files look.
const (
	FilesFromJob    = "job"    // in the job file's folder
	FilesFromSource = "source" // in the source's folder
)

// varFiles are those of the job file at an absolute path, the weakest first.
func (s *Source) varFiles(path string) []jobspec.VarFile {
	out := s.VarFiles[:len(s.VarFiles):len(s.VarFiles)] // append must not write into what all job files share
	rel, err := filepath.Rel(s.Path, path)
	if err != nil {
		return out
	}
	for _, jv := range s.JobVars {
		if jv.matches(filepath.ToSlash(rel)) {
			out = append(out, jv.Files...)
		}
	}
	return out
}

func (jv JobVars) matches(rel string) bool {
	glob := jv.Glob
	if !strings.Contains(glob, "/") {
		glob = "**/" + glob
	}
	return doublestar.MatchUnvalidated(glob, rel) // it was validated with the configuration
}

// files is where the filesystem functions of the job file at an absolute path
// look; never outside of the source.
func (s *Source) files(path string) jobspec.FS {
	out := jobspec.FS{Dirs: []string{filepath.Dir(path), s.Path}, Root: s.Path}
	switch s.FilesFrom {
	case FilesFromJob:
		out.Dirs = out.Dirs[:1]
	case FilesFromSource:
		out.Dirs = out.Dirs[1:]
	}
	return out
}
