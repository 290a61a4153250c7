package source_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"nomad-reconcile/state/source"

	"github.com/google/go-cmp/cmp"
)

func put(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func link(t *testing.T, target, path string) string {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestList(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, name := range []string{
		"web.hcl", "api.nomad", "team/deep/db.job", "prod.vars.hcl", "notes.txt", "vendor/x.hcl",
		".reconcile/jobs/web/run/web.hcl", "team/.git/a.hcl", "web.hcl.backup.20260204_163000",
	} {
		put(t, filepath.Join(root, name), "")
	}
	link(t, "web.hcl", filepath.Join(root, "linked.hcl"))
	link(t, "nowhere", filepath.Join(root, "dangling.hcl"))
	link(t, "team", filepath.Join(root, "folder.hcl"))
	d := source.Directory{
		Name: "jobs", Path: root,
		Include: []string{"**/*.hcl", "**/*.nomad", "**/*.job"}, Exclude: []string{"**/*.vars.hcl", "vendor/**"},
	}
	got, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i], _ = filepath.Rel(root, got[i])
	}
	want := []string{"api.nomad", "dangling.hcl", "linked.hcl", "team/deep/db.job", "web.hcl"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestListThroughLinkedRoot(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	put(t, filepath.Join(base, "real", "web.hcl"), "x")
	root := link(t, "real", filepath.Join(base, "jobs"))
	d := source.Directory{Path: root, Shown: "jobs", Include: []string{"**/*.hcl"}}
	got, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join(root, "web.hcl")}, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	doc, err := d.Read(got[0])
	if err != nil || doc.Name != "jobs/web.hcl" || string(doc.Bytes) != "x" {
		t.Errorf("read %+v, %v", doc, err)
	}
}

func TestListFolderMissing(t *testing.T) {
	t.Parallel()
	file := put(t, filepath.Join(t.TempDir(), "file"), "")
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "none"): "there is no such folder",
		file:                               "that is not a folder",
	} {
		_, err := source.Directory{Name: "prod", Path: path, Shown: "jobs"}.List()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `source "directory" "prod": jobs`) || !strings.Contains(err.Error(), "`path`") {
			t.Errorf("%s: the error does not say what to correct: %v", path, err)
		}
	}
}

func TestListBadGlob(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	put(t, filepath.Join(root, "a"), "")
	if _, err := (source.Directory{Path: root, Include: []string{"["}}).List(); err == nil {
		t.Error("a broken glob matched nothing instead of being an error")
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	root := filepath.Join(base, "jobs")
	outside := put(t, filepath.Join(base, "secret.hcl"), "s")
	put(t, filepath.Join(root, "web.hcl"), "x")
	fifo := filepath.Join(root, "fifo.hcl")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		path string
		want error
	}{
		"fifo":              {fifo, source.ErrNotRegular},
		"folder":            {root, source.ErrNotRegular},
		"outside":           {outside, source.ErrOutside},
		"link out":          {link(t, "../secret.hcl", filepath.Join(root, "out.hcl")), source.ErrOutside},
		"absolute link out": {link(t, outside, filepath.Join(root, "abs.hcl")), source.ErrOutside},
		"link to fifo":      {link(t, "fifo.hcl", filepath.Join(root, "f.hcl")), source.ErrNotRegular},
		"dangling":          {link(t, "nowhere", filepath.Join(root, "d.hcl")), fs.ErrNotExist},
		"missing":           {filepath.Join(root, "none.hcl"), fs.ErrNotExist},
	}
	for name, tc := range tests {
		_, err := source.Read(root, tc.path, "shown.hcl")
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), "shown.hcl") {
			t.Errorf("%s: %v, want %v and the file's name", name, err, tc.want)
		}
	}
	doc, err := source.Read(root, link(t, filepath.Join(root, "web.hcl"), filepath.Join(root, "in.hcl")), "in.hcl")
	if err != nil || string(doc.Bytes) != "x" {
		t.Errorf("an absolute link within the source: %v", err)
	}
}

func TestWriteKeepsModeOwnerAndNeighbours(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	path := put(t, filepath.Join(root, "web.hcl"), "old")
	if err := os.Chmod(path, 0o640|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 12345, 23456); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o640|fs.ModeSetgid); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := os.Stat(path)
	doc, err := source.Read(root, path, "web.hcl")
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Write(root, doc, []byte("new, longer")); err != nil {
		t.Fatal(err)
	}
	after, _ := os.Stat(path)
	if content(t, path) != "new, longer" {
		t.Error("not written")
	}
	if before.Mode() != after.Mode() {
		t.Errorf("mode %v became %v", before.Mode(), after.Mode())
	}
	was, is := before.Sys().(*syscall.Stat_t), after.Sys().(*syscall.Stat_t)
	if was.Uid != is.Uid || was.Gid != is.Gid {
		t.Errorf("owner %d:%d became %d:%d", was.Uid, was.Gid, is.Uid, is.Gid)
	}
	if diff := cmp.Diff([]string{"web.hcl"}, names(t, root)); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
}

func TestWriteThroughLink(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	target := put(t, filepath.Join(root, "real", "web.hcl"), "old")
	path := link(t, "real/web.hcl", filepath.Join(root, "web.hcl"))
	doc, err := source.Read(root, path, "web.hcl")
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Write(root, doc, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Lstat(path); info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link is gone")
	}
	if content(t, target) != "new" {
		t.Error("the link's target was not written")
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		meddle func(t *testing.T, path string) // between read and write
		want   error
		still  string
	}{
		"changed":   {func(t *testing.T, path string) { put(t, path, "theirs") }, source.ErrChanged, "theirs"},
		"gone":      {func(t *testing.T, path string) { os.Remove(path) }, source.ErrChanged, ""},
		"read-only": {func(t *testing.T, path string) { os.Chmod(path, 0o444) }, source.ErrReadOnly, "old"},
		"now a folder": {func(t *testing.T, path string) { os.Remove(path); os.Mkdir(path, 0o755) },
			source.ErrNotRegular, ""},
		"now a link out": {func(t *testing.T, path string) {
			os.Remove(path)
			link(t, put(t, filepath.Join(t.TempDir(), "x.hcl"), "old"), path)
		}, source.ErrOutside, "old"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			path := put(t, filepath.Join(root, "web.hcl"), "old")
			doc, err := source.Read(root, path, "web.hcl")
			if err != nil {
				t.Fatal(err)
			}
			tc.meddle(t, path)
			if err := source.Write(root, doc, []byte("new")); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
			if tc.still != "" && content(t, path) != tc.still {
				t.Errorf("the file holds %q, want %q", content(t, path), tc.still)
			}
			if n := len(names(t, root)); n > 1 {
				t.Errorf("left behind: %v", names(t, root))
			}
		})
	}
}

func TestBackup(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	path := put(t, filepath.Join(root, "web.hcl"), "old")
	if err := os.Chmod(path, 0o440); err != nil {
		t.Fatal(err)
	}
	doc, err := source.Read(root, path, "web.hcl")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 2, 4, 16, 30, 0, 0, time.UTC)
	for range 2 { // the second time it is there already
		got, err := source.Backup(doc, at)
		if err != nil || got != path+".backup.20260204_163000" {
			t.Fatalf("%s, %v", got, err)
		}
		if info, _ := os.Stat(got); content(t, got) != "old" || info.Mode() != 0o440 {
			t.Errorf("the copy differs: %v", info.Mode())
		}
	}
	doc.Bytes = []byte("other")
	if _, err := source.Backup(doc, at); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a backup was overwritten: %v", err)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new.hcl")
	doc := source.Document{Name: "new.hcl", Path: path, Bytes: []byte("first"), Mode: 0o600}
	if err := source.Create(doc); err != nil {
		t.Fatal(err)
	}
	doc.Bytes = []byte("second")
	if err := source.Create(doc); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "new.hcl") {
		t.Errorf("%v", err)
	}
	data, err := os.ReadFile(path)
	info, _ := os.Stat(path)
	if err != nil || string(data) != "first" || info.Mode().Perm() != 0o600 {
		t.Errorf("%q, %v, %v", data, info.Mode(), err)
	}
	if err := source.Create(source.Document{Name: "x", Path: filepath.Join(path, "x")}); err == nil {
		t.Error("below a file")
	}
}
