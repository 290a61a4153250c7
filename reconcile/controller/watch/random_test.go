package watch

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	seeds = flag.Int("seeds", 8, "how many random histories TestRandom goes through")
	seed  = flag.Uint64("seed", 1, "the first of them")
)

const steps = 300

// Whatever is done in whatever order, a reader that looks only at what it is told
// of has seen all of it in the end.
func TestRandom(t *testing.T) {
	t.Parallel()
	for s := *seed; s < *seed+uint64(*seeds); s++ {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			t.Parallel()
			newHistory(t, s).play()
		})
	}
}

// history is one random sequence of deeds and of moments at which the reader reads.
type history struct {
	*testing.T
	*rand.Rand
	dir  string
	r    *reader
	done []string
}

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{T: t, Rand: rand.New(rand.NewPCG(seed, seed)), dir: t.TempDir()}
	for _, path := range []string{"up/root/a/f0", "up/root/b/f1", "up/root/f0", "rel/1/a/f0", "rel/2/b/f1", "out/f0", "conf/f0"} {
		put(t, h.in(path))
	}
	link(t, "rel/1", h.in("link"))
	link(t, "../out/f0", h.in("conf/flink"))
	trees := []string{h.in("up/root"), h.in("link"), h.in("up/root/a"), h.in("up/root/b/.h")}
	files := []string{h.in("conf/f0"), h.in("conf/flink"), h.in("up/root/f0"), h.in("out/a/f1"), h.in("up/root/.h/f1")}
	settle := []time.Duration{time.Microsecond, time.Millisecond, 3 * time.Millisecond}[h.IntN(3)]
	h.r = reading(t, Options{Settle: settle}, trees, files)
	return h
}

func (h *history) play() {
	for range steps {
		h.step()
		switch h.IntN(12) {
		case 0:
			h.read(0)
		case 1:
			h.read(time.Duration(h.IntN(3000)) * time.Microsecond)
		}
	}
	deadline := time.After(10 * time.Second)
	for wrong := h.r.differ(); len(wrong) > 0; wrong = h.r.differ() {
		select {
		case c := <-h.r.Changes():
			h.r.apply(c)
		case <-deadline:
			h.Fatalf("not named:\n%s\nafter\n%s", strings.Join(wrong, "\n"), strings.Join(h.done, "\n"))
		}
	}
}

// read applies a Change, if there is one by then.
func (h *history) read(within time.Duration) {
	select {
	case c := <-h.r.Changes():
		h.r.apply(c)
	case <-time.After(within):
	}
}

func (h *history) in(path string) string { return filepath.Join(h.dir, path) }

func (h *history) pick(from ...string) string { return from[h.IntN(len(from))] }

func (h *history) path() string {
	path := h.pick("up/root", "up/root", "up/root", "rel/1", "rel/2", "link", "out", "conf", "up", "rel", "")
	for range h.IntN(4) {
		path += "/" + h.pick("a", "b", "c", ".h")
	}
	if path == "" || h.IntN(2) == 0 {
		path += "/" + h.pick("f0", "f1", "f2")
	}
	return h.in(path)
}

// step does one thing; that it may fail is part of the game.
func (h *history) step() {
	a, b := h.path(), h.path()
	deed := "nothing"
	switch h.IntN(16) {
	case 0, 1, 2:
		deed = h.note("write", a, write(a))
	case 3:
		deed = h.note("write over", a, write(b+".tmp"), os.Rename(b+".tmp", a))
	case 4:
		deed = h.note("remove", a, os.Remove(a))
	case 5:
		deed = h.note("rm -r", a, os.RemoveAll(a))
	case 6, 7:
		deed = h.note("mkdir -p", a, os.MkdirAll(a, 0o755))
	case 8, 9:
		deed = h.note("fill", a, os.MkdirAll(a+"/b/c", 0o755), write(a+"/f0"), write(a+"/b/f1"), write(a+"/b/c/f2"))
	case 10, 11:
		deed = h.note("rename", a+" "+b, os.Rename(a, b))
	case 12:
		deed = h.note("exchange", a+" "+b, os.Rename(a, a+"~"), os.Rename(b, a), os.Rename(a+"~", b))
	case 13:
		target := b
		if rel, err := filepath.Rel(filepath.Dir(a), b); err == nil && h.IntN(2) == 0 {
			target = rel
		}
		deed = h.note("link", a+" -> "+target, os.Symlink(target, a+"_l"), os.Rename(a+"_l", a))
	case 14:
		deed = h.note("swap", "link", os.Symlink(h.pick("rel/1", "rel/2", "up/root", "out", "nowhere"), h.in("link_l")), os.Rename(h.in("link_l"), h.in("link")))
	case 15:
		switch h.IntN(4) {
		case 0:
			h.r.Set(h.r.trees, h.r.files)
			deed = "set"
		case 1:
			deed = h.note("again", a, os.Rename(a, a+"~"), os.Rename(a+"~", a), write(a+"/f1"))
		default:
			deed = h.note("chmod", a, os.Chmod(a, []os.FileMode{0o755, 0o700, 0o750}[h.IntN(3)]))
		}
	}
	h.done = append(h.done, deed)
}

func (h *history) note(deed, on string, errs ...error) string {
	return strings.ReplaceAll(fmt.Sprint(deed, " ", on, " ", errs), h.dir+"/", "")
}
