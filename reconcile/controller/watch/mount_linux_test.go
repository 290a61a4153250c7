package watch

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// One folder that shows in two places has its events in one of them.
func TestBindMounts(t *testing.T) {
	t.Parallel()
	if !isAgain() {
		again(t, nil, "unshare", "-m")
		return
	}
	dir := t.TempDir()
	in := func(path string) string { return filepath.Join(dir, path) }
	put(t, in("a/x/web.hcl"))
	put(t, in("b/here"))
	must(t, syscall.Mount(in("a"), in("b"), "", syscall.MS_BIND, ""))
	defer syscall.Unmount(in("b"), syscall.MNT_DETACH)
	var log journal
	r := reading(t, Options{Poll: 4 * settleFor, Log: log.logger()}, []string{in("a"), in("b")}, nil)
	for range 3 {
		put(t, in("a/x/web.hcl"))
		r.catchUp(t)
		put(t, in("b/x/web.hcl"))
		r.catchUp(t)
	}
	log.expect(t, []string{"cannot watch", "mounted in two places"})
}

// Nothing tells of a mount, but saying Set again sees it.
func TestUnmountedAndMountedAgain(t *testing.T) {
	t.Parallel()
	if !isAgain() {
		again(t, nil, "unshare", "-m")
		return
	}
	dir := t.TempDir()
	in := func(path string) string { return filepath.Join(dir, path) }
	must(t, os.Mkdir(in("jobs"), 0o755))
	mount := func() { must(t, syscall.Mount("tmpfs", in("jobs"), "tmpfs", 0, "")) }
	mount()
	put(t, in("jobs/a/web.hcl"))
	r := reading(t, Options{}, []string{in("jobs")}, []string{in("f")})
	must(t, syscall.Unmount(in("jobs"), 0))
	mount()
	put(t, in("f")) // comes after what fsnotify hears of the unmount and keeps to itself
	await(t, r, func() bool { return len(r.snap[in("f")]) > 0 })
	defer syscall.Unmount(in("jobs"), syscall.MNT_DETACH)
	r.Set(r.trees, r.files)
	r.catchUp(t)
	put(t, in("jobs/b/web.hcl"))
	r.catchUp(t)
}
