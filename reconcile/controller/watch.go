package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"
)

// watcher turns file events into "something moved", once things are quiet.
type watcher struct {
	fs    *fsnotify.Watcher
	log   logr.Logger
	told  told
	paths []string // what is watched, as named and as links resolve
}

func newWatcher(log logr.Logger) (*watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	return &watcher{fs: w, log: log}, nil
}

func (w *watcher) close() { _ = w.fs.Close() }

// watch adds what is not watched yet: files and whole folders, each with the
// folder that it is in, since editors and deployments replace them. What cannot
// be watched is still seen by the full pass, which is why it is only told.
func (w *watcher) watch(paths []string) {
	w.paths = w.paths[:0]
	for _, path := range paths {
		w.paths = append(w.paths, path)
		err := w.fs.Add(filepath.Dir(path))
		real, linkErr := filepath.EvalSymlinks(path)
		if linkErr == nil {
			w.paths = append(w.paths, real)
			linkErr = w.tree(real)
		}
		if err = cmp.Or(err, linkErr); err == nil {
			w.told.forget(path)
		} else if w.told.anew(path, err.Error()) {
			w.log.Error(err, "cannot watch; changes there wait for the next full pass", "path", path)
		}
	}
}

// tree adds a folder and the folders below it. Hidden ones hold no job files,
// but our own state and Git's, which move whenever we do something.
func (w *watcher) tree(root string) error {
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && p != root: // removed while we walk
			return nil
		case err != nil:
			return err
		case !d.IsDir() && p == root:
			return w.fs.Add(filepath.Dir(p))
		case !d.IsDir():
			return nil
		case p != root && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		}
		if err := w.fs.Add(p); !errors.Is(err, fs.ErrNotExist) || p == root {
			return err
		}
		return nil
	})
}

// concerns tells what is watched from what merely lies beside it.
func (w *watcher) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	return slices.ContainsFunc(w.paths, func(path string) bool {
		below, ok := strings.CutPrefix(e.Name, path)
		return ok && (below == "" || strings.HasPrefix(below, "/") && !strings.Contains(below, "/."))
	})
}

// next waits for the end of the interval, or for a file event and then for
// quiet. It is false when ctx has ended.
func (w *watcher) next(ctx context.Context, interval, settle time.Duration) (why string, ok bool) {
	full := time.NewTimer(interval)
	defer full.Stop()
	var quiet <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return "", false
		case <-full.C:
			return "interval", true
		case <-quiet:
			return why, true
		case err := <-w.fs.Errors:
			w.log.Error(err, "watching files")
			return "watch error", true
		case event := <-w.fs.Events:
			if w.concerns(event) {
				why, quiet = event.Name, time.After(settle)
			}
		}
	}
}
