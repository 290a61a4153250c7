package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// Options say how a Server behaves. The zero value is a working one.
type Options struct {
	// Dir holds the tasks' folders and logs. Empty is a temporary folder, removed by
	// Close.
	Dir string
	// Parse reads a job file for the parse route, which answers 501 without it. It
	// gets the source and the content of a variables file.
	Parse func(source, variables string) (*api.Job, error)
	// PATH is searched before the process's own for the commands of raw_exec tasks,
	// and stands before it in their environment.
	PATH string
	// Namespaces exist besides "default".
	Namespaces []string
	// Heartbeat is how often an event stream says that it is there; 0 is Nomad's 30
	// seconds.
	Heartbeat time.Duration
	// NoSystemDeployments is Nomad before 1.11.
	NoSystemDeployments bool
}

// Server is a running Nomad.
type Server struct {
	opts     Options
	dir      string
	listener net.Listener
	http     *http.Server
	ctx      context.Context // ends with Close; the server's life, not a request's
	cancel   context.CancelFunc
	running  sync.WaitGroup // the allocations' goroutines

	mu          sync.Mutex // guards what follows, and everything reachable from it
	index       uint64
	moved       chan struct{} // closed and renewed when the index moves
	jobs        map[job.ID]*record
	allocs      map[string]*alloc
	evaluations map[string]*api.Evaluation
	faults      []*armed
	news        news
	cut         chan struct{} // closed and renewed by CutStreams
}

// Start serves on a free port of the loopback interface.
func Start(opts Options) (*Server, error) {
	dir, err := dataDir(opts.Dir)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the Nomad double: %w", err)
	}
	s := &Server{
		opts: opts, dir: dir, listener: listener, index: 1,
		moved:       make(chan struct{}),
		cut:         make(chan struct{}),
		news:        newNews(),
		jobs:        map[job.ID]*record{},
		allocs:      map[string]*alloc{},
		evaluations: map[string]*api.Evaluation{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
		ReadHeaderTimeout: 10 * time.Second,
	}
	go s.http.Serve(listener)
	return s, nil
}

func dataDir(dir string) (string, error) {
	if dir != "" {
		dir, err := filepath.Abs(dir)
		if err != nil {
			return "", err
		}
		return dir, os.MkdirAll(dir, 0o755)
	}
	dir, err := os.MkdirTemp("", "nomadtest")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755) // tasks may run as another user
}

// URL is the address for NOMAD_ADDR.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Close ends every task, waits for the processes' end and cuts every connection.
func (s *Server) Close() error {
	s.mu.Lock()
	s.cancel()
	for _, a := range s.allocs {
		a.cancel()
	}
	s.mu.Unlock()
	s.running.Wait()
	err := s.http.Close()
	if s.opts.Dir == "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// next moves the index, wakes the blocking queries and returns the new index.
func (s *Server) next() uint64 {
	s.index++
	close(s.moved)
	s.moved = make(chan struct{})
	return s.index
}

// after does f under the lock, later, unless the server was closed.
func (s *Server) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ctx.Err() == nil {
			f()
		}
	})
}

func (s *Server) hasNamespace(ns string) bool {
	return ns == job.DefaultNamespace || slices.Contains(s.opts.Namespaces, ns)
}
