package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/source"
)

func TestVarFilesOf(t *testing.T) {
	t.Parallel()
	file := func(name string) []jobspec.VarFile { return []jobspec.VarFile{{Name: name}} }
	all := append(make([]jobspec.VarFile, 0, 8), file("all")...) // room that an append could write into
	s := &Source{
		Directory: source.Directory{Path: "/jobs"}, VarFiles: all,
		JobVars: []JobVars{
			{"api-*.hcl", file("name")},
			{"deep/*.hcl", file("folder")},
			{"deep/**", file("below")},
			{"{api,web}-[0-9].hcl", file("last")},
		},
	}
	want := map[string][]string{
		"/jobs/api-1.hcl":           {"all", "name", "last"},
		"/jobs/deep/api-1.hcl":      {"all", "name", "folder", "below", "last"},
		"/jobs/deep/er/web-2.hcl":   {"all", "below", "last"},
		"/jobs/deeper/api-x.hcl":    {"all", "name"},
		"/jobs/api-1.hcl/other.hcl": {"all"},
	}
	got := map[string][]jobspec.VarFile{}
	for path := range want {
		got[path] = s.varFiles(path)
	}
	for path, names := range want {
		var have []string
		for _, f := range got[path] {
			have = append(have, f.Name)
		}
		if diff := cmp.Diff(names, have); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestFilesOf(t *testing.T) {
	t.Parallel()
	for from, dirs := range map[string][]string{
		"":              {"/jobs/deep", "/jobs"},
		FilesFromJob:    {"/jobs/deep"},
		FilesFromSource: {"/jobs"},
	} {
		s := &Source{Directory: source.Directory{Path: "/jobs"}, FilesFrom: from}
		want := jobspec.FS{Dirs: dirs, Root: "/jobs"}
		if diff := cmp.Diff(want, s.files("/jobs/deep/web.hcl")); diff != "" {
			t.Errorf("files_from %q (-want +got):\n%s", from, diff)
		}
	}
}
