package controller

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"
)

// watcher turns file events into "something moved", once things are quiet.
type watcher struct {
	fs  *fsnotify.Watcher
	log logr.Logger
}

func newWatcher(log logr.Logger) (*watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	return &watcher{fs: w, log: log}, nil
}

func (w *watcher) close() { _ = w.fs.Close() }

// watch adds what is not watched yet. A file is watched through its folder,
// since editors replace files. What cannot be watched is still seen by the
// full pass, which is why it is only told.
func (w *watcher) watch(paths []string) {
	for _, path := range paths {
		err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir():
				return w.fs.Add(p)
			case p == path:
				return w.fs.Add(filepath.Dir(p))
			}
			return nil
		})
		if err != nil {
			w.log.Error(err, "cannot watch; changes there wait for the next full pass", "path", path)
		}
	}
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
			if event.Has(fsnotify.Chmod) && event.Op == fsnotify.Chmod {
				continue
			}
			why, quiet = event.Name, time.After(settle)
		}
	}
}
