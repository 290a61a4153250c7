package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

// soakProxy stands between the agent and Nomad: it knows every request, and is what
// goes wrong between the two.
type soakProxy struct {
	soaking *soaking
	next    http.Handler
	server  *httptest.Server

	mu       sync.Mutex
	fault    soakFault
	until    time.Time
	cut      chan struct{} // closed and renewed: streams end
	gone     chan struct{} // closed and renewed: everything ends
	counts   map[string]int
	underWay int       // requests that are no streams
	busy     time.Time // when the last one ended that is no list
	stops    map[string]bool
	wrong    []string
	news     int // registers that made a version
	refused  int // ... that Nomad did not take
}

// soakFault is what is wrong for a while.
type soakFault struct {
	away       bool
	delay      time.Duration
	fails      float64
	unanswered bool // registers take effect, and nobody hears of it
}

func newSoakProxy(s *soaking) *soakProxy {
	return &soakProxy{
		soaking: s, next: proxyTo(s.url), cut: make(chan struct{}), gone: make(chan struct{}),
		counts: map[string]int{}, stops: map[string]bool{},
	}
}

func (p *soakProxy) url() string {
	if p.server == nil {
		panic("the proxy is not there yet")
	}
	return p.server.URL
}

func (p *soakProxy) misbehave(f soakFault, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.until = f, time.Now().Add(d)
}

func (p *soakProxy) behave() { p.misbehave(soakFault{}, 0) }

func (p *soakProxy) cutStreams() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.cut)
	p.cut = make(chan struct{})
}

func (p *soakProxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.gone)
	p.gone = make(chan struct{})
}

// stopped notes what an operator has done.
func (p *soakProxy) stopped(name string, is bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stops[name] = is
}

// kindOf names a request without the job that it is about.
func kindOf(r *http.Request) string {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	if len(parts) > 1 && parts[0] != "event" && parts[1] != "parse" {
		parts[1] = "*"
	}
	kind := r.Method + " " + strings.Join(parts, "/")
	if r.URL.Query().Get("index") != "" && r.Method == http.MethodGet {
		kind += " (waits)"
	}
	return kind
}

const soakStream = "GET event/stream"

// enter counts a request and says what is to go wrong with it.
func (p *soakProxy) enter(kind string) (fault soakFault, cut, gone <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[kind]++
	if !strings.HasPrefix(kind, soakStream) {
		p.underWay++
	}
	if time.Now().Before(p.until) {
		fault = p.fault
	}
	return fault, p.cut, p.gone
}

func (p *soakProxy) leave(kind string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.HasPrefix(kind, soakStream) {
		return
	}
	p.underWay--
	if kind != "GET jobs" && kind != "GET deployments" { // the full pass, and the stream's check
		p.busy = time.Now()
	}
}

// ServeHTTP passes a request on, if nothing is wrong.
func (p *soakProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind := kindOf(r)
	fault, cut, gone := p.enter(kind)
	defer p.leave(kind)
	if fault.away {
		panic(http.ErrAbortHandler)
	}
	if fault.delay > 0 {
		p.soaking.sleep(time.Duration(rand.Int64N(int64(fault.delay))))
	}
	if rand.Float64() < fault.fails {
		http.Error(w, "No cluster leader", http.StatusInternalServerError)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		if !strings.HasPrefix(kind, soakStream) {
			cut = nil
		}
		select {
		case <-cut:
		case <-gone:
		case <-ctx.Done():
		}
		cancel()
	}()
	r = r.WithContext(ctx)
	if r.Method == http.MethodPut && r.URL.Path == "/v1/jobs" {
		p.register(w, r, fault)
		return
	}
	p.next.ServeHTTP(w, r)
}

// register is what the agent must never do in vain, nor to what an operator stopped.
func (p *soakProxy) register(w http.ResponseWriter, r *http.Request, fault soakFault) {
	body, err := io.ReadAll(r.Body)
	var req api.JobRegisterRequest
	if err == nil {
		err = json.Unmarshal(body, &req)
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	j := p.soaking.byName[*req.Job.ID]
	j.live.Lock()
	before := p.version(j.name)
	rec := httptest.NewRecorder()
	// What has come takes effect, whoever goes away meanwhile.
	p.next.ServeHTTP(rec, r.WithContext(context.WithoutCancel(r.Context())))
	p.judge(j.name, req.Job, rec.Code, before)
	j.live.Unlock()
	if fault.unanswered || r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

// version is -1 where there is no such job.
func (p *soakProxy) version(name string) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	live, err := p.soaking.client.Job(ctx, p.soaking.byName[name].id())
	if err != nil {
		return -1
	}
	return int(*live.Version)
}

func (p *soakProxy) judge(name string, sent *api.Job, code, before int) {
	after := p.version(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	stops := sent.Stop != nil && *sent.Stop
	switch {
	case code != http.StatusOK:
		p.refused++
	case after == before:
		p.wrong = append(p.wrong, fmt.Sprintf("%s: a register that changed nothing, at version %d", name, before))
	default:
		p.news++
	}
	if code == http.StatusOK && p.stops[name] && !stops {
		p.wrong = append(p.wrong, fmt.Sprintf("%s: an operator stopped it, and the agent started it", name))
	}
}

func (p *soakProxy) faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wrong
}

// quiet reports whether the agent has asked nothing for a while.
func (p *soakProxy) quiet(d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.underWay == 0 && time.Since(p.busy) > d
}
