package nomadtest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

// heartbeat is how often a followed log says that it is still there.
const heartbeat = time.Second

// log is one stream of one task: a file, and who waits for more of it.
type log struct {
	path  string
	mu    sync.Mutex
	size  int64
	grown chan struct{} // closed and renewed at each write
}

func newLog(path string) *log { return &log{path: path, grown: make(chan struct{})} }

func (s *Server) logPath(a *alloc, task, stream string) string {
	return filepath.Join(s.dir, "alloc", a.ID, "alloc", "logs", task+"."+stream+".0")
}

// Write appends to the file.
func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(l.path), 0o755); err != nil {
		return 0, err
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	n, err := f.Write(b)
	l.size += int64(n)
	close(l.grown)
	l.grown = make(chan struct{})
	return n, errors.Join(err, f.Close())
}

// read gives what there is from offset, and a channel that closes when there is more.
func (l *log) read(offset int64) ([]byte, <-chan struct{}, error) {
	l.mu.Lock()
	size, grown := l.size, l.grown
	l.mu.Unlock()
	if offset >= size {
		return nil, grown, nil
	}
	f, err := os.Open(l.path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	b := make([]byte, min(size-offset, 64<<10))
	_, err = io.ReadFull(io.NewSectionReader(f, offset, size-offset), b)
	return b, grown, err
}

// start is where a reader begins that wants an offset from the start or the end.
func (l *log) start(origin string, offset int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if origin == "end" {
		return max(l.size-offset, 0)
	}
	return offset
}

func (s *Server) routeLogs(w http.ResponseWriter, r *http.Request, allocID string) error {
	q := r.URL.Query()
	l, err := s.findLog(allocID, q.Get("task"), q.Get("type"))
	if err != nil {
		return err
	}
	offset, _ := strconv.ParseInt(q.Get("offset"), 10, 64)
	out := &frames{w: w, cut: s.cuts(), file: "alloc/logs/" + filepath.Base(l.path), plain: q.Get("plain") == "true"}
	w.Header().Set("Content-Type", "application/json")
	if out.plain {
		w.Header().Set("Content-Type", "text/plain")
	}
	at := l.start(q.Get("origin"), offset)
	if q.Get("follow") == "true" {
		return out.follow(r, l, at)
	}
	for {
		b, _, err := l.read(at)
		if err != nil || len(b) == 0 {
			return err
		}
		at += int64(len(b))
		out.send(b, at)
	}
}

// findLog answers as Nomad does where there is no such log, or not yet.
func (s *Server) findLog(allocID, task, stream string) (*log, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.allocs[allocID]
	if a == nil {
		return nil, refuse(http.StatusNotFound, "Unknown allocation %q", allocID)
	}
	st := a.TaskStates[task]
	switch {
	case st == nil:
		return nil, refuse(http.StatusBadRequest, "unknown task name %q", task)
	case stream != "stdout" && stream != "stderr":
		return nil, refuse(http.StatusBadRequest, "log type must be stdout or stderr")
	case st.StartedAt.IsZero():
		return nil, refuse(http.StatusNotFound, "task %q not started yet. No logs available", task)
	}
	return a.logs[task+"."+stream], nil
}

// frames writes pieces of a log in the form that was asked for.
type frames struct {
	w     http.ResponseWriter
	cut   <-chan struct{}
	file  string
	plain bool
}

func (f *frames) send(b []byte, offset int64) {
	if !f.plain {
		frame := api.StreamFrame{}
		if len(b) > 0 {
			frame = api.StreamFrame{Data: b, File: f.file, Offset: offset}
		}
		b, _ = json.Marshal(frame)
	}
	f.w.Write(b)
	f.w.(http.Flusher).Flush()
}

// follow sends what there is and what comes, until the reader goes.
func (f *frames) follow(r *http.Request, l *log, at int64) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	f.send(nil, 0)
	for {
		b, grown, err := l.read(at)
		if err != nil {
			return err
		}
		if len(b) > 0 {
			at += int64(len(b))
			f.send(b, at)
			continue
		}
		select {
		case <-grown:
		case <-beat.C:
			f.send(nil, 0)
		case <-f.cut:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return nil
		}
	}
}
