package nomadtest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// The types of events: Nomad's words for what made the change.
const (
	jobRegistered       = "JobRegistered"
	jobDeregistered     = "JobDeregistered"
	evaluationUpdated   = "EvaluationUpdated"
	planResult          = "PlanResult"
	allocationUpdated   = "AllocationUpdated"
	deploymentUpdate    = "DeploymentStatusUpdate"
	deploymentPromotion = "DeploymentPromotion"
)

// keptBatches is how many batches Nomad keeps for streams that begin in the past.
const keptBatches = 100

// heartbeatOfEvents is Nomad's own.
const heartbeatOfEvents = 30 * time.Second

// event is one change. Its payload is made when a stream first asks for it, and so
// shows the moment of the sending.
type event struct {
	Topic      string
	Type       string
	Key        string
	Namespace  string
	FilterKeys []string
	Index      uint64
	Payload    any

	payload func() any
}

// batch is one event with what came after it: who holds one misses nothing, however
// slowly it reads. Nomad's batches may hold several.
type batch struct {
	event *event
	next  *batch
}

// news are the newest batches.
type news struct {
	oldest *batch // before the oldest that is kept
	newest *batch
	kept   int
}

func newNews() news {
	none := &batch{}
	return news{oldest: none, newest: none}
}

func (n *news) add(e *event) {
	b := &batch{event: e}
	n.newest.next, n.newest = b, b
	if n.kept++; n.kept > keptBatches {
		n.oldest, n.kept = n.oldest.next, keptBatches
	}
}

// from is what stands before the first batch that a stream gets: one of that index or
// the first after it, the newest where all are before, the oldest for 0.
func (n *news) from(index uint64) *batch {
	b := n.oldest
	for b.next != nil && b.next != n.newest && b.next.event.Index < index {
		b = b.next
	}
	return b
}

func (s *Server) tell(e event) {
	e.Index = s.index
	s.news.add(&e)
}

func (s *Server) tellJob(j *api.Job, kind string) {
	s.tell(event{Topic: "Job", Type: kind, Key: *j.ID, Namespace: *j.Namespace, payload: func() any { return map[string]any{"Job": j} }})
}

func (s *Server) tellEvaluation(e *api.Evaluation, kind string) {
	s.tell(event{
		Topic: "Evaluation", Type: kind, Key: e.ID, Namespace: e.Namespace, FilterKeys: []string{e.JobID, e.DeploymentID},
		payload: func() any { return map[string]any{"Evaluation": e} },
	})
}

func (s *Server) tellAlloc(a *alloc, kind string) {
	s.tell(event{
		Topic: "Allocation", Type: kind, Key: a.ID, Namespace: a.Namespace, FilterKeys: []string{a.JobID, a.DeploymentID},
		payload: func() any {
			short := *a.Allocation
			short.Job = nil
			return map[string]any{"Allocation": short}
		},
	})
}

func (s *Server) tellDeployment(d *deployment, kind string) {
	s.tell(event{
		Topic: "Deployment", Type: kind, Key: d.ID, Namespace: d.Namespace, FilterKeys: []string{d.JobID},
		payload: func() any { return map[string]any{"Deployment": d.Deployment} },
	})
}

// line is what a stream says of one event.
func (e *event) line() ([]byte, error) {
	if e.Payload == nil {
		payload, err := json.Marshal(e.payload())
		if err != nil {
			return nil, err
		}
		e.Payload = json.RawMessage(payload)
	}
	return json.Marshal(map[string]any{"Index": e.Index, "Events": []*event{e}})
}

// interest is what a stream asked for.
type interest struct {
	namespace string
	topics    url.Values // the keys of each topic
}

func interestOf(r *http.Request) interest {
	in := interest{namespace: namespaceOf(r), topics: url.Values{}}
	for _, t := range r.URL.Query()["topic"] {
		topic, key, _ := strings.Cut(t, ":")
		in.topics.Add(topic, cmp.Or(key, "*"))
	}
	if len(in.topics) == 0 {
		in.topics.Set("*", "*")
	}
	return in
}

func (in interest) wants(e *event) bool {
	if in.namespace != "*" && in.namespace != e.Namespace {
		return false
	}
	return slices.ContainsFunc(slices.Concat(in.topics["*"], in.topics[e.Topic]), func(key string) bool {
		return key == "*" || key == e.Key || slices.Contains(e.FilterKeys, key)
	})
}

// routeEvents is a stream: a heartbeat at once, what is kept of the past from the
// index on, and then what happens.
func (s *Server) routeEvents(w http.ResponseWriter, r *http.Request) error {
	index, err := strconv.ParseInt(cmp.Or(r.URL.Query().Get("index"), "0"), 10, 64)
	if err != nil {
		return refuse(http.StatusBadRequest, "Unable to parse index: %v", err)
	}
	in, cut := interestOf(r), s.cuts()
	s.mu.Lock()
	at := s.news.from(uint64(index))
	s.mu.Unlock()
	beat := time.NewTicker(cmp.Or(s.opts.Heartbeat, heartbeatOfEvents))
	defer beat.Stop()
	w.Header().Set("Content-Type", "application/json")
	lines := []byte("{}\n")
	for {
		w.Write(lines)
		w.(http.Flusher).Flush()
		more, moved, err := s.newsAfter(&at, in)
		if err != nil {
			return err
		}
		if lines = more; len(lines) > 0 {
			continue
		}
		select {
		case <-moved:
		case <-beat.C:
			lines = []byte("{}\n")
		case <-cut:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return nil
		}
	}
}

// newsAfter are the lines that a stream has not said yet, and what is closed when
// there may be more.
func (s *Server) newsAfter(at **batch, in interest) ([]byte, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []byte
	for (*at).next != nil {
		*at = (*at).next
		if !in.wants((*at).event) {
			continue
		}
		line, err := (*at).event.line()
		if err != nil {
			return nil, nil, err
		}
		lines = append(append(lines, line...), '\n')
	}
	return lines, s.moved, nil
}
