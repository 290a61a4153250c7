// Package watch tells which folders and files may have moved. Its events are
// hints: who reads them looks for himself. So a folder named too often costs a
// glance, and one that is not named is a bug.
//
// Every entry on the way to what is watched is watched too, from the root of the
// file system on: folders above a tree are renamed, and links lead elsewhere. So
// what moves in such a folder wakes this package up, but is not named.
//
// What no event tells of waits for the reader's full pass: writes through mmap or
// through another hard link, a file system mounted over a folder, and the
// renaming of a folder far above whose own parent may be entered but not listed.
package watch

import (
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"
)

// Change is what may have moved since the last one. What it names may be gone.
// No folder is named twice: what lies below one of Trees is left out.
type Change struct {
	Dirs  []string // folders (absolute, sorted) in which entries may have been made, changed or removed; not what is below their subfolders
	Trees []string // folders to look at wholly with all below: new, replaced or removed ones, events lost, or no events to be had (polling)
	Files []string // of the single files that were named in Set: those that may have moved
}

// Options are how to watch.
type Options struct {
	Settle  time.Duration // quiet time after the last event before a Change is given; 250 ms if not said
	Poll    time.Duration // how often what cannot be watched is named; 10 s if not said
	Log     logr.Logger
	OnError func(error)          // hears of every failure to watch, for metrics; may be nil
	OnPoll  func(paths []string) // hears what is polled now, sorted, whenever that is another; may be nil

	// What tests make fail, or count.
	turn   func()
	open   func() (*fsnotify.Watcher, error)
	add    func(*fsnotify.Watcher, string) error
	remote func(path string) bool
}

// patience is how many times Settle a Change may be late, where it never gets quiet.
const patience = 20

// Watcher watches what Set names.
type Watcher struct {
	sets    chan setting
	out     chan Change
	quit    chan struct{}
	done    chan struct{}
	closing sync.Once
}

type setting struct{ trees, files []string }

// New never fails: where there is no inotify, it polls and says so.
func New(o Options) *Watcher {
	w := &Watcher{
		sets: make(chan setting),
		out:  make(chan Change),
		quit: make(chan struct{}),
		done: make(chan struct{}),
	}
	go newOwner(o).run(w)
	return w
}

// Set says what to watch from now on: folders with all below them but hidden
// folders, and single files; absolute paths, whether there is anything or not.
// What is new is named in a Change as soon as it is watched, so a reader that
// looks when he hears of it misses nothing. Saying the same again checks that
// all of it is still watched.
func (w *Watcher) Set(trees, files []string) {
	select {
	case w.sets <- setting{trees, files}:
	case <-w.done:
	}
}

// Changes gives one settled change at a time. What is not read is merged into
// one. The channel is closed by Close.
func (w *Watcher) Changes() <-chan Change { return w.out }

// Close ends the watching and returns when nothing of it is left.
func (w *Watcher) Close() {
	w.closing.Do(func() { close(w.quit) })
	<-w.done
}
