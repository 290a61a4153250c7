package controller

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
)

// Metrics is what a Prometheus may ask of the agent. Their names and labels are a
// promise: cmd/reconcile/README.md lists them, and a test holds both together. Every
// label that is known is there from the start, at zero, since what has never been
// there cannot be alerted on. Its methods may be called at once.
type Metrics struct {
	registry *prometheus.Registry

	findings *prometheus.GaugeVec
	jobs     *prometheus.GaugeVec
	runs     *prometheus.CounterVec
	took     prometheus.Histogram
	gates    *prometheus.HistogramVec

	depth     prometheus.Gauge
	waited    prometheus.Histogram
	retries   prometheus.Counter
	converged prometheus.Histogram
	passed    prometheus.Gauge

	calls    *prometheus.CounterVec
	failures *prometheus.CounterVec
	answered *prometheus.HistogramVec

	watchErrors prometheus.Counter
	config      *prometheus.GaugeVec
	loads       prometheus.Gauge
	loaded      prometheus.Gauge

	mu       sync.Mutex
	shown    map[Finding]bool // the label sets of findings
	revision string           // of the policies that they are of
}

// Finding is the labels under which a finding is counted.
type Finding struct{ Policy, Rule, Enforce, Side string }

func (f Finding) labels() []string { return []string{f.Policy, f.Rule, f.Enforce, f.Side} }

// FindingsOf counts the findings of a plan that no exception waives.
func FindingsOf(p reconcile.Plan) map[Finding]int {
	out := map[Finding]int{}
	for _, f := range p.Findings {
		if f.Exception == nil {
			out[Finding{f.Policy, f.Rule, string(f.Enforce), string(f.Side)}]++
		}
	}
	return out
}

// Conditions are all that a job can be in, the worst first.
func Conditions() []reconcile.Condition {
	return []reconcile.Condition{
		reconcile.Failed, reconcile.Denied, reconcile.Held, reconcile.Degraded,
		reconcile.OutOfSync, reconcile.Orphan, reconcile.Converging, reconcile.InSync,
	}
}

var results = []history.Result{
	history.Converged, history.Unchanged, history.Held, history.Denied, history.RolledBack, history.Failed,
}

// Buckets, in seconds. Runs are as long as their gates wait; calls are short.
var (
	runBuckets  = []float64{1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 3600}
	waitBuckets = []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	callBuckets = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
)

// NewMetrics makes them for a version of the program, the kinds of gates that there
// are, and the names under which Call is told of requests.
func NewMetrics(version string, gateKinds, calls []string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), shown: map[Finding]bool{}}
	m.declareJobs()
	m.declareLoop()
	m.declareNomad()
	m.declareConfig()
	m.gauge("build_info", "Always 1; the label has the version of the program.", "version").WithLabelValues(version).Set(1)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.Conditions(nil)
	for _, r := range results {
		m.runs.WithLabelValues(string(r))
	}
	for _, kind := range append([]string{"deployment"}, gateKinds...) {
		m.gates.WithLabelValues(kind)
	}
	for _, name := range calls {
		m.calls.WithLabelValues(name)
		m.failures.WithLabelValues(name)
		m.answered.WithLabelValues(name)
	}
	return m
}

func (m *Metrics) declareJobs() {
	m.findings = m.gauge("findings", "Findings that no exception waives.", "policy", "rule", "enforce", "side")
	m.jobs = m.gauge("jobs", "Jobs in each condition.", "condition")
	m.runs = m.counter("runs_total", "Runs of the agent that have ended, by result.", "result")
	m.took = m.histogram("run_duration_seconds", "How long runs took that were begun, from their start to their end.", runBuckets).WithLabelValues().(prometheus.Histogram)
	m.gates = m.histogram("gate_duration_seconds", "How long gates took to pass or to fail.", runBuckets, "kind")
}

func (m *Metrics) declareLoop() {
	m.depth = m.gauge("queue_depth", "Jobs that wait to be looked at.").WithLabelValues()
	m.waited = m.histogram("queue_wait_seconds", "How long jobs waited before they were looked at.", waitBuckets).WithLabelValues().(prometheus.Histogram)
	m.retries = m.counter("queue_retries_total", "Jobs that were put off after an error, to be tried again.").WithLabelValues()
	m.converged = m.histogram("event_to_converged_seconds", "From an event to the end of the run that it led to, of runs that converged.", runBuckets).WithLabelValues().(prometheus.Histogram)
	m.passed = m.gauge("last_pass_timestamp_seconds", "When all that had moved was last worked through; 0 before the first time.").WithLabelValues()
	m.watchErrors = m.counter("watch_errors_total", "Errors in watching files and folders.").WithLabelValues()
}

func (m *Metrics) declareNomad() {
	m.calls = m.counter("nomad_requests_total", "Requests to Nomad.", "call")
	m.failures = m.counter("nomad_request_errors_total", "Requests to Nomad that failed.", "call")
	m.answered = m.histogram("nomad_request_duration_seconds", "How long Nomad took to answer; where a request waits for a change, with that.", callBuckets, "call")
}

func (m *Metrics) declareConfig() {
	m.config = m.gauge("config_info", "Always 1; the label has the hash of the configuration, policies and variable files in force.", "hash")
	m.loads = m.gauge("config_last_reload_successful", "1 if what was last read is in force, 0 if it has mistakes and what was there before stays.").WithLabelValues()
	m.loaded = m.gauge("config_last_reload_success_timestamp_seconds", "When what is in force was read; 0 before the first time.").WithLabelValues()
}

const namespace = "reconcile"

func (m *Metrics) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(v)
	return v
}

// Handler answers what Prometheus asks.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Findings shows how many findings there are of all jobs. Every rule of the set is
// there for both sides; when the policies change, what is theirs no more goes.
func (m *Metrics) Findings(set *policies.Set, counts map[Finding]int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := rulesOf(set)
	if revision := set.Revision(); revision == m.revision {
		maps.Copy(known, m.shown) // also what has been found and is not any more
	} else {
		m.revision = revision
	}
	for f := range counts {
		known[f] = true
	}
	for f := range m.shown {
		if !known[f] {
			m.findings.DeleteLabelValues(f.labels()...)
		}
	}
	for f := range known {
		m.findings.WithLabelValues(f.labels()...).Set(float64(counts[f]))
	}
	m.shown = known
}

// rulesOf are the labels of all that the set can find.
func rulesOf(set *policies.Set) map[Finding]bool {
	out := map[Finding]bool{}
	for _, p := range set.Policies() {
		for _, r := range p.Rules {
			for _, side := range []policies.Side{policies.FileSide, policies.LiveSide} {
				out[Finding{p.Name, r.ID, string(cmp.Or(r.Enforce, p.Enforce)), string(side)}] = true
			}
		}
	}
	return out
}

// Conditions shows how many jobs are in each condition; what is not in the map has none.
func (m *Metrics) Conditions(counts map[reconcile.Condition]int) {
	for _, c := range Conditions() {
		m.jobs.WithLabelValues(string(c)).Set(float64(counts[c]))
	}
}

// Run counts a run that has ended. One that is still open is counted when it is
// settled.
func (m *Metrics) Run(r history.Run) {
	if r.Result == "" {
		return
	}
	m.runs.WithLabelValues(string(r.Result)).Inc()
	if r.ID != "" && !r.Ended.IsZero() {
		m.took.Observe(r.Ended.Sub(r.Started).Seconds())
	}
	for _, g := range r.Gates {
		if g.Result == history.OK || g.Result == history.NotOK {
			m.gates.WithLabelValues(g.Kind).Observe(g.Duration.Seconds())
		}
	}
}

// Queue shows how many jobs wait to be looked at.
func (m *Metrics) Queue(depth int) { m.depth.Set(float64(depth)) }

// Waited is told how long a job was in the queue.
func (m *Metrics) Waited(d time.Duration) { m.waited.Observe(d.Seconds()) }

// Retried is told of a job that is put off after an error.
func (m *Metrics) Retried() { m.retries.Inc() }

// Converged is told how long ago the event came that led to a run that has converged.
func (m *Metrics) Converged(sinceEvent time.Duration) { m.converged.Observe(sinceEvent.Seconds()) }

// Passed is told when all that had moved was worked through.
func (m *Metrics) Passed(at time.Time) { m.passed.Set(seconds(at)) }

// Call is told of a request to Nomad. What its caller gave up is no error of Nomad's.
func (m *Metrics) Call(name string, took time.Duration, err error) {
	m.calls.WithLabelValues(name).Inc()
	if err != nil && !errors.Is(err, context.Canceled) {
		m.failures.WithLabelValues(name).Inc()
	}
	m.answered.WithLabelValues(name).Observe(took.Seconds())
}

// WatchError is told of a file or folder that cannot be watched.
func (m *Metrics) WatchError() { m.watchErrors.Inc() }

// Loaded is told how reading configuration and policies went; with an error, the hash
// is not looked at, and what was in force stays shown.
func (m *Metrics) Loaded(hash string, at time.Time, err error) {
	if err != nil {
		m.loads.Set(0)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.config.Reset()
	m.config.WithLabelValues(hash).Set(1)
	m.loads.Set(1)
	m.loaded.Set(seconds(at))
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
