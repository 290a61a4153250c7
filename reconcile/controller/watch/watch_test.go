package watch

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/fsnotify/fsnotify"
)

func failing(err error) func(*fsnotify.Watcher, string) error {
	return func(*fsnotify.Watcher, string) error { return err }
}

func run(t testing.TB, dir string, argv ...string) {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

// In each case trees and files are watched, something is done, and a reader that
// looks only at what it is told of must see it. in makes paths.
type moving struct {
	name         string
	before       func(t *testing.T, in func(string) string)
	trees, files []string
	act          func(t *testing.T, in func(string) string)
}

var saves = []moving{
	{
		name: "written in place", trees: []string{"jobs"},
		act: func(t *testing.T, in func(string) string) { put(t, in("jobs/web.hcl")) },
	},
	{
		name: "vim: renamed to a backup, made anew, the backup removed", trees: []string{"jobs"},
		act: func(t *testing.T, in func(string) string) {
			must(t, write(in("jobs/.web.hcl.swp")), write(in("jobs/4913")), os.Remove(in("jobs/4913")),
				os.Rename(in("jobs/web.hcl"), in("jobs/web.hcl~")), write(in("jobs/web.hcl")), os.Chmod(in("jobs/web.hcl"), 0o600),
				os.Remove(in("jobs/web.hcl~")), os.Remove(in("jobs/.web.hcl.swp")))
		},
	},
	{
		name: "emacs: a lock link, a backup made by renaming, the file made anew", trees: []string{"jobs"},
		act: func(t *testing.T, in func(string) string) {
			must(t, os.Symlink("me@here.1:2", in("jobs/.#web.hcl")), os.Rename(in("jobs/web.hcl"), in("jobs/web.hcl~")),
				write(in("jobs/web.hcl")), os.Remove(in("jobs/.#web.hcl")))
		},
	},
	{
		name: "written beside and renamed over", trees: []string{"jobs"},
		act: func(t *testing.T, in func(string) string) {
			must(t, write(in("jobs/.tmp123")), os.Rename(in("jobs/.tmp123"), in("jobs/web.hcl")))
		},
	},
	{
		name: "sed -i", trees: []string{"jobs"},
		act: func(t *testing.T, in func(string) string) { run(t, in("jobs"), "sed", "-i", "s/x/yy/", "web.hcl") },
	},
	{
		name: "mv over, from elsewhere", trees: []string{"jobs"},
		act: func(t *testing.T, in func(string) string) {
			put(t, in("new.hcl"))
			run(t, in("."), "mv", "new.hcl", "jobs/web.hcl")
		},
	},
	{
		name: "made readable, nothing else", trees: []string{"jobs"},
		act: func(t *testing.T, in func(string) string) { must(t, os.Chmod(in("jobs/web.hcl"), 0o640)) },
	},
	{
		name: "removed", trees: []string{"jobs"},
		act: func(t *testing.T, in func(string) string) { must(t, os.Remove(in("jobs/web.hcl"))) },
	},
}

var folders = []moving{
	{
		name: "folders made and filled at once", trees: []string{"jobs"},
		act: func(t *testing.T, in func(string) string) { put(t, in("jobs/a/b/c/d.hcl")) },
	},
	{
		name: "a filled folder moved in, then written in below", trees: []string{"jobs"},
		before: func(t *testing.T, in func(string) string) { put(t, in("x/y/z.hcl")) },
		act: func(t *testing.T, in func(string) string) {
			must(t, os.Rename(in("x"), in("jobs/x")))
			put(t, in("jobs/x/y/z.hcl"))
		},
	},
	{
		name: "a folder moved out and written in there, its name taken by another", trees: []string{"jobs"},
		before: func(t *testing.T, in func(string) string) { put(t, in("jobs/x/y/z.hcl")) },
		act: func(t *testing.T, in func(string) string) {
			must(t, os.Rename(in("jobs/x"), in("x")))
			put(t, in("x/y/z.hcl"))
			put(t, in("jobs/x/y/w.hcl"))
		},
	},
	{
		name: "a folder renamed and back", trees: []string{"jobs"},
		before: func(t *testing.T, in func(string) string) { put(t, in("jobs/x/y/z.hcl")) },
		act: func(t *testing.T, in func(string) string) {
			must(t, os.Rename(in("jobs/x"), in("jobs/w")), os.Rename(in("jobs/w"), in("jobs/x")))
			put(t, in("jobs/x/y/z.hcl"))
		},
	},
	{
		name: "two folders change places", trees: []string{"jobs"},
		before: func(t *testing.T, in func(string) string) {
			put(t, in("jobs/x/a/1.hcl"))
			put(t, in("jobs/y/a/2.hcl"))
		},
		act: func(t *testing.T, in func(string) string) {
			must(t, os.Rename(in("jobs/x"), in("jobs/t")), os.Rename(in("jobs/y"), in("jobs/x")), os.Rename(in("jobs/t"), in("jobs/y")))
		},
	},
	{
		name: "renamed and removed at once, which fsnotify complains of", trees: []string{"jobs"},
		before: func(t *testing.T, in func(string) string) {
			for i := range 50 {
				put(t, in("jobs/x"+strconv.Itoa(i)+"/z.hcl"))
			}
		},
		act: func(t *testing.T, in func(string) string) {
			for i := range 50 {
				x := in("jobs/x" + strconv.Itoa(i))
				must(t, os.Rename(x, x+"y"), os.RemoveAll(x+"y"))
			}
		},
	},
	{
		name: "a hidden folder that is no longer", trees: []string{"jobs"},
		before: func(t *testing.T, in func(string) string) { put(t, in("jobs/.x/y/z.hcl")) },
		act:    func(t *testing.T, in func(string) string) { must(t, os.Rename(in("jobs/.x"), in("jobs/x"))) },
	},
	{
		name: "a folder becomes a file", trees: []string{"jobs"},
		before: func(t *testing.T, in func(string) string) { put(t, in("jobs/x/y/z.hcl")) },
		act: func(t *testing.T, in func(string) string) {
			must(t, os.RemoveAll(in("jobs/x")), write(in("jobs/x")))
		},
	},
	{
		name: "the root removed", trees: []string{"jobs"},
		act: func(t *testing.T, in func(string) string) { must(t, os.RemoveAll(in("jobs"))) },
	},
	{
		name: "the root removed and made again", trees: []string{"jobs"},
		act: func(t *testing.T, in func(string) string) {
			must(t, os.RemoveAll(in("jobs")))
			put(t, in("jobs/a/b.hcl"))
		},
	},
	{
		name: "the root replaced by a rename", trees: []string{"jobs"},
		before: func(t *testing.T, in func(string) string) { put(t, in("next/a/b.hcl")) },
		act: func(t *testing.T, in func(string) string) {
			must(t, os.Rename(in("jobs"), in("last")), os.Rename(in("next"), in("jobs")))
		},
	},
	{
		name: "the root's parents removed and made again", trees: []string{"up/and/up/jobs"},
		before: func(t *testing.T, in func(string) string) { put(t, in("up/and/up/jobs/web.hcl")) },
		act: func(t *testing.T, in func(string) string) {
			must(t, os.RemoveAll(in("up")))
			put(t, in("up/and/up/jobs/a/b.hcl"))
		},
	},
	{
		name: "a parent far above renamed", trees: []string{"up/and/up/jobs"},
		before: func(t *testing.T, in func(string) string) { put(t, in("up/and/up/jobs/web.hcl")) },
		act:    func(t *testing.T, in func(string) string) { must(t, os.Rename(in("up"), in("down"))) },
	},
	{
		name: "a tree that was not there yet", trees: []string{"not/yet/there"},
		act: func(t *testing.T, in func(string) string) { put(t, in("not/yet/there/a/b.hcl")) },
	},
	{
		name: "a tree that is a file, until it is a folder", trees: []string{"jobs/web.hcl"},
		act: func(t *testing.T, in func(string) string) {
			must(t, os.Remove(in("jobs/web.hcl")))
			put(t, in("jobs/web.hcl/a/b.hcl"))
		},
	},
	{
		name: "below a hidden root", trees: []string{".jobs/.hidden/root"},
		before: func(t *testing.T, in func(string) string) { put(t, in(".jobs/.hidden/root/a/web.hcl")) },
		act:    func(t *testing.T, in func(string) string) { put(t, in(".jobs/.hidden/root/a/web.hcl")) },
	},
	{
		name: "in a tree that lies in another", trees: []string{"jobs", "jobs/a", "jobs/a/.b"},
		before: func(t *testing.T, in func(string) string) { put(t, in("jobs/a/.b/c/web.hcl")) },
		act: func(t *testing.T, in func(string) string) {
			put(t, in("jobs/a/.b/c/web.hcl"))
			put(t, in("jobs/a/d/web.hcl"))
		},
	},
	{
		name: "git clone into the tree", trees: []string{"jobs"}, before: repository,
		act: func(t *testing.T, in func(string) string) {
			run(t, in("jobs"), "git", "clone", "-q", in("repo"), "cloned")
		},
	},
	{
		name: "git checkout in the tree", trees: []string{"jobs"},
		before: func(t *testing.T, in func(string) string) {
			repository(t, in)
			run(t, in("jobs"), "git", "clone", "-q", in("repo"), "cloned")
		},
		act: func(t *testing.T, in func(string) string) {
			run(t, in("jobs/cloned"), "git", "checkout", "-q", "HEAD~1")
		},
	},
}

// repository is one with two commits, which have few folders in common.
func repository(t *testing.T, in func(string) string) {
	must(t, os.MkdirAll(in("repo"), 0o755))
	run(t, in("repo"), "git", "init", "-q")
	for i := range 2 {
		must(t, os.RemoveAll(in("repo/jobs")))
		for j := range 30 {
			put(t, in("repo/jobs/"+strconv.Itoa(i*20+j)+"/deep/web.hcl"))
		}
		run(t, in("repo"), "git", "add", "-A")
		run(t, in("repo"), "git", "commit", "-q", "-m", "x")
	}
}

var links = []moving{
	{
		name: "the tree is a link that is swapped", trees: []string{"current"},
		before: func(t *testing.T, in func(string) string) {
			put(t, in("releases/1/a/web.hcl"))
			put(t, in("releases/2/b/web.hcl"))
			link(t, "releases/1", in("current"))
		},
		act: func(t *testing.T, in func(string) string) {
			swap(t, "releases/2", in("current"))
		},
	},
	{
		name: "in a tree that is a link", trees: []string{"current"},
		before: func(t *testing.T, in func(string) string) {
			put(t, in("releases/1/a/web.hcl"))
			link(t, in("releases/1"), in("current"))
		},
		act: func(t *testing.T, in func(string) string) { put(t, in("releases/1/a/b/web.hcl")) },
	},
	{
		name: "under a tree that is a link, the folder replaced", trees: []string{"current"},
		before: func(t *testing.T, in func(string) string) {
			put(t, in("releases/1/a/web.hcl"))
			link(t, "releases/1", in("current"))
		},
		act: func(t *testing.T, in func(string) string) {
			must(t, os.Rename(in("releases/1"), in("releases/0")))
			put(t, in("releases/1/c/web.hcl"))
		},
	},
	{
		name: "a link above the tree is swapped", trees: []string{"current/jobs"},
		before: func(t *testing.T, in func(string) string) {
			put(t, in("releases/1/jobs/web.hcl"))
			put(t, in("releases/2/jobs/a/web.hcl"))
			link(t, "releases/1", in("current"))
		},
		act: func(t *testing.T, in func(string) string) { swap(t, "releases/2", in("current")) },
	},
	{
		name: "a link to nothing yet", trees: []string{"current"},
		before: func(t *testing.T, in func(string) string) { link(t, "releases/1", in("current")) },
		act:    func(t *testing.T, in func(string) string) { put(t, in("releases/1/a/web.hcl")) },
	},
	{
		name: "a link to itself, until it is not", trees: []string{"current"},
		before: func(t *testing.T, in func(string) string) { link(t, "current", in("current")) },
		act:    func(t *testing.T, in func(string) string) { swap(t, "jobs", in("current")) },
	},
	{
		name: "one folder under two names", trees: []string{"jobs", "same"},
		before: func(t *testing.T, in func(string) string) { link(t, "jobs", in("same")) },
		act:    func(t *testing.T, in func(string) string) { put(t, in("jobs/web.hcl")) },
	},
	{
		name: "a tree that is a link in another tree", trees: []string{"jobs", "jobs/same"},
		before: func(t *testing.T, in func(string) string) {
			put(t, in("else/a/web.hcl"))
			link(t, "../else", in("jobs/same"))
		},
		act: func(t *testing.T, in func(string) string) {
			put(t, in("else/a/web.hcl"))
			must(t, os.Chmod(in("jobs"), 0o700))
		},
	},
	{
		name: "..data is swapped", trees: []string{"jobs"},
		before: func(t *testing.T, in func(string) string) {
			put(t, in("jobs/..2024_1/web.hcl"))
			put(t, in("jobs/..2024_2/web.hcl"))
			link(t, "..2024_1", in("jobs/..data"))
			must(t, os.Remove(in("jobs/web.hcl")))
			link(t, "..data/web.hcl", in("jobs/web.hcl"))
		},
		act: func(t *testing.T, in func(string) string) {
			swap(t, "..2024_2", in("jobs/..data"))
			must(t, os.RemoveAll(in("jobs/..2024_1")))
		},
	},
	{
		name: "a linked file's target, elsewhere in the tree", trees: []string{"jobs"},
		before: func(t *testing.T, in func(string) string) {
			put(t, in("jobs/shared/web.hcl"))
			link(t, "../shared/web.hcl", in("jobs/a/web.hcl"))
		},
		act: func(t *testing.T, in func(string) string) { put(t, in("jobs/shared/web.hcl")) },
	},
	{
		name: "a linked file's target, outside", trees: []string{"jobs"},
		before: func(t *testing.T, in func(string) string) {
			put(t, in("shared/web.hcl"))
			link(t, in("shared/web.hcl"), in("jobs/a/web.hcl"))
		},
		act: func(t *testing.T, in func(string) string) {
			must(t, write(in("shared/tmp")), os.Rename(in("shared/tmp"), in("shared/web.hcl")))
		},
	},
	{
		name: "a linked file's target, whose folder is moved into place", trees: []string{"jobs"},
		before: func(t *testing.T, in func(string) string) {
			put(t, in("next/web.hcl"))
			link(t, "../shared/web.hcl", in("jobs/web2.hcl"))
		},
		act: func(t *testing.T, in func(string) string) { must(t, os.Rename(in("next"), in("shared"))) },
	},
	{
		name: "a link that is made, then its target", trees: []string{"jobs"},
		act: func(t *testing.T, in func(string) string) {
			link(t, "../b/c.hcl", in("jobs/a/c.hcl"))
			put(t, in("jobs/b/c.hcl"))
		},
	},
}

var single = []moving{
	{
		name: "a file written", files: []string{"reconcile.hcl"},
		before: func(t *testing.T, in func(string) string) { put(t, in("reconcile.hcl")) },
		act:    func(t *testing.T, in func(string) string) { put(t, in("reconcile.hcl")) },
	},
	{
		name: "a file replaced by a rename", files: []string{"reconcile.hcl"},
		before: func(t *testing.T, in func(string) string) { put(t, in("reconcile.hcl")) },
		act: func(t *testing.T, in func(string) string) {
			must(t, write(in("tmp")), os.Rename(in("tmp"), in("reconcile.hcl")))
		},
	},
	{
		name: "a file removed", files: []string{"reconcile.hcl"},
		before: func(t *testing.T, in func(string) string) { put(t, in("reconcile.hcl")) },
		act:    func(t *testing.T, in func(string) string) { must(t, os.Remove(in("reconcile.hcl"))) },
	},
	{
		name: "a file removed and made again", files: []string{"reconcile.hcl"},
		before: func(t *testing.T, in func(string) string) { put(t, in("reconcile.hcl")) },
		act: func(t *testing.T, in func(string) string) {
			must(t, os.Remove(in("reconcile.hcl")), write(in("reconcile.hcl")))
		},
	},
	{
		name: "a file that was not there yet, nor its folders", files: []string{"etc/reconcile/prod.vars.hcl"},
		act: func(t *testing.T, in func(string) string) { put(t, in("etc/reconcile/prod.vars.hcl")) },
	},
	{
		name: "a file whose folder is replaced", files: []string{"etc/prod.vars.hcl"},
		before: func(t *testing.T, in func(string) string) {
			put(t, in("etc/prod.vars.hcl"))
			put(t, in("new/prod.vars.hcl"))
		},
		act: func(t *testing.T, in func(string) string) {
			must(t, os.Rename(in("etc"), in("old")), os.Rename(in("new"), in("etc")))
		},
	},
	{
		name: "a file in a hidden folder", files: []string{"jobs/.reconcile/suspended.json"}, trees: []string{"jobs"},
		before: func(t *testing.T, in func(string) string) { put(t, in("jobs/.reconcile/suspended.json")) },
		act:    func(t *testing.T, in func(string) string) { put(t, in("jobs/.reconcile/suspended.json")) },
	},
	{
		name: "a linked file's target", files: []string{"reconcile.hcl"},
		before: func(t *testing.T, in func(string) string) {
			put(t, in("etc/real.hcl"))
			link(t, "etc/real.hcl", in("reconcile.hcl"))
		},
		act: func(t *testing.T, in func(string) string) { put(t, in("etc/real.hcl")) },
	},
	{
		name: "a linked file, swapped", files: []string{"reconcile.hcl"},
		before: func(t *testing.T, in func(string) string) {
			put(t, in("etc/1.hcl"))
			put(t, in("etc/2.hcl"))
			link(t, "etc/1.hcl", in("reconcile.hcl"))
		},
		act: func(t *testing.T, in func(string) string) { swap(t, "etc/2.hcl", in("reconcile.hcl")) },
	},
	{
		name: "a file behind links of links", files: []string{"a/reconcile.hcl"},
		before: func(t *testing.T, in func(string) string) {
			put(t, in("etc/1/x.hcl"))
			put(t, in("etc/2/x.hcl"))
			link(t, "1", in("etc/current"))
			link(t, "../etc/current/x.hcl", in("b/reconcile.hcl"))
			link(t, in("b"), in("a"))
		},
		act: func(t *testing.T, in func(string) string) { swap(t, "2", in("etc/current")) },
	},
}

func TestSees(t *testing.T) {
	t.Parallel()
	for group, cases := range map[string][]moving{"saves": saves, "folders": folders, "links": links, "files": single} {
		for _, c := range cases {
			t.Run(group+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				c.see(t)
			})
		}
	}
}

func (c moving) see(t *testing.T) {
	dir := t.TempDir()
	in := func(path string) string { return filepath.Join(dir, path) }
	put(t, in("jobs/web.hcl"))
	if c.before != nil {
		c.before(t, in)
	}
	r := reading(t, Options{}, absolute(in, c.trees), absolute(in, c.files))
	c.act(t, in)
	if len(r.differ()) == 0 {
		t.Fatal("the case changes nothing, so it cannot fail")
	}
	r.catchUp(t)
	// And what was watched anew is really watched.
	for round := range 2 {
		c.poke(t, r, round)
		r.catchUp(t)
	}
}

// poke changes every file and makes one in every folder that there is.
func (c moving) poke(t *testing.T, r *reader, round int) {
	t.Helper()
	for path := range r.whole() {
		info, err := os.Stat(path)
		switch _, hidden := hiddenIn(r.trees, path); {
		case err != nil || hidden:
		case info.IsDir() && isFolder(path, r.trees):
			put(t, filepath.Join(path, "poke"+strconv.Itoa(round)))
		case info.Mode().IsRegular():
			put(t, path)
		}
	}
}

// isFolder leaves out links to folders, which are not looked into.
func isFolder(path string, trees []string) bool {
	for _, root := range trees {
		if path == root {
			return true
		}
	}
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

func hiddenIn(trees []string, path string) (string, bool) {
	for _, root := range trees {
		if rel, ok := below(root, path); ok && !hidden(rel) {
			return rel, false
		}
	}
	return "", len(trees) > 0
}

func absolute(in func(string) string, paths []string) []string {
	var all []string
	for _, path := range paths {
		all = append(all, in(path))
	}
	return all
}
