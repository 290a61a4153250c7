package nomadtest

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// Fault is a misbehaviour of the server, on demand.
type Fault struct {
	Method string // empty: any
	Path   string // of the URL, escaped; `*` stands for any text; empty: any
	Times  int    // how many requests it strikes; 0: all until removed

	Delay    time.Duration // before anything else happens
	Status   int           // answered with Text instead of doing anything
	Text     string
	Cut      bool // the connection is cut; the request takes its effect first
	CutAfter int  // bytes of the body that still pass before the cut
}

// Forbidden is what Nomad answers to a token without the needed capability.
func Forbidden(method, path string) Fault {
	return Fault{Method: method, Path: path, Status: http.StatusForbidden, Text: "Permission denied"}
}

// CutStreams cuts the event streams and the followed logs that are open now.
func (s *Server) CutStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.cut)
	s.cut = make(chan struct{})
}

// cuts is closed by the next CutStreams.
func (s *Server) cuts() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cut
}

type armed struct {
	Fault
	path *regexp.Regexp
	left int
}

// Fault arms f until remove is called or it has struck f.Times requests. Of
// several that match, the one armed first strikes.
func (s *Server) Fault(f Fault) (remove func()) {
	pattern := ".*"
	if f.Path != "" {
		pattern = strings.ReplaceAll(regexp.QuoteMeta(f.Path), `\*`, ".*")
	}
	a := &armed{Fault: f, path: regexp.MustCompile("^" + pattern + "$"), left: f.Times}
	s.mu.Lock()
	s.faults = append(s.faults, a)
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.disarm(a)
	}
}

func (s *Server) disarm(a *armed) {
	for i, other := range s.faults {
		if other == a {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			return
		}
	}
}

// strike finds the fault for a request and counts it.
func (s *Server) strike(r *http.Request) *armed {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.faults {
		if (a.Method != "" && a.Method != r.Method) || !a.path.MatchString(r.URL.EscapedPath()) {
			continue
		}
		if a.left--; a.left == 0 {
			s.disarm(a)
		}
		return a
	}
	return nil
}

// misbehave applies the fault for a request; done where it is answered thereby.
func (s *Server) misbehave(w http.ResponseWriter, r *http.Request) (out http.ResponseWriter, done bool) {
	a := s.strike(r)
	if a == nil {
		return w, false
	}
	timer := time.NewTimer(a.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return w, true
	}
	if a.Status != 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(a.Status)
		fmt.Fprint(w, a.Text)
		return w, true
	}
	if a.Cut {
		return &cutWriter{ResponseWriter: w, left: a.CutAfter}, false
	}
	return w, false
}

// cutWriter lets some bytes through and cuts the connection then.
type cutWriter struct {
	http.ResponseWriter
	left int
}

// Write passes what may pass.
func (c *cutWriter) Write(b []byte) (int, error) {
	if len(b) > c.left {
		c.ResponseWriter.Write(b[:c.left])
		c.Flush()
		panic(http.ErrAbortHandler) // net/http's way to cut a connection
	}
	c.left -= len(b)
	return c.ResponseWriter.Write(b)
}

// Flush sends what was written.
func (c *cutWriter) Flush() { c.ResponseWriter.(http.Flusher).Flush() }
