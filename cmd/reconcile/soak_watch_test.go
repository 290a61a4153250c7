package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"nomad-reconcile/state/history"
)

func fetch(ctx context.Context, url string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, data)
	}
	return data, err
}

// soakSample is what the agent holds while nothing moves.
type soakSample struct {
	when       string
	rested     time.Duration // until it came to rest
	status     string
	metrics    map[string]float64
	unexpected []string
}

// The metrics that must not grow.
var soakHeld = []struct {
	metric string
	title  string
	unit   float64
	spare  float64 // growth that says nothing, in units
}{
	{"process_resident_memory_bytes", "RSS MB", 1e6, 15},
	{"go_memstats_heap_inuse_bytes", "heap MB", 1e6, 5},
	{"go_goroutines", "goroutines", 1, 5},
	{"process_open_fds", "fds", 1, 5},
}

// await asks again until nothing is wrong any more, or for so long; then it gives what
// is.
func (s *soaking) await(limit time.Duration, wrong func() []string) []string {
	last := ""
	for end := time.Now().Add(limit); ; {
		s.alive()
		out := wrong()
		if len(out) == 0 || time.Now().After(end) {
			return out
		}
		if first, _, _ := strings.Cut(out[0], "\n"); first != last && len(out) < 10 { // a soak is long
			last = first
			s.t.Logf("still waiting for %d, such as %s", len(out), first)
		}
		s.sleep(min(time.Second, limit/20))
	}
}

// rest waits until the agent has nothing to do, and notes what it holds then. What it
// puts off for longer, after errors, is not waited for.
func (s *soaking) rest(when string) {
	start, limit, still := time.Now(), 30*time.Second, time.Second
	if s.measured {
		limit, still = 2*time.Minute, 3*time.Second
	}
	late := s.await(limit, func() []string {
		if !s.proxy.quiet(still) {
			return []string{"the agent goes on asking"}
		}
		if m, err := s.metrics(); err != nil || m["reconcile_queue_depth"] > 0 {
			return []string{fmt.Sprintf("%v jobs are in the queue, %v", m["reconcile_queue_depth"], err)}
		}
		return nil
	})
	sample := soakSample{when: when, rested: time.Since(start).Round(time.Second / 10)}
	if s.measured { // what could be given back is not held
		for range 2 {
			if _, err := s.ask("/debug/pprof/heap?gc=1"); err != nil {
				s.t.Error(err)
			}
		}
	}
	var err error
	if sample.metrics, err = s.metrics(); err != nil {
		s.t.Errorf("%s: %v\n%s", when, err, s.logTail(""))
	}
	sample.status, sample.unexpected = s.conditions()
	if len(late) > 0 {
		sample.unexpected = append(sample.unexpected, late...)
	}
	s.samples = append(s.samples, sample)
	s.t.Logf("%s: at rest after %v: %s%s", when, sample.rested, sample.status, strings.Join(append([]string{""}, sample.unexpected...), "\n  "))
}

// conditions counts them, and tells of the first jobs that are in one which the model
// does not know a reason for. In between that is no fault yet.
func (s *soaking) conditions() (string, []string) {
	status, err := s.status()
	if err != nil {
		return "", []string{err.Error()}
	}
	counts, odd := map[string]int{}, []string{}
	for _, said := range status.Jobs {
		counts[said.Condition]++
		j := s.byName[said.ID]
		known := said.Condition == "in_sync" || j == nil || !j.there || j.broken || j.denied || j.stopped || j.removals > 0
		if !known && len(odd) < 8 {
			odd = append(odd, fmt.Sprintf("%s is %s: %s", said.ID, said.Condition, said.Reason))
		}
	}
	var parts []string
	for _, c := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[c], c))
	}
	return strings.Join(parts, ", "), odd
}

// metrics sums up the label sets of each, but for those that are told apart below.
func (s *soaking) metrics() (map[string]float64, error) {
	data, err := s.ask("/metrics")
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil || strings.HasPrefix(line, "#") {
			continue
		}
		out[name] += n
		if base, _, labelled := strings.Cut(name, "{"); labelled {
			out[base] += n
		}
	}
	return out, nil
}

// strayHistory: no run is open, and each -E that was planted and not overwritten was
// mended by one.
func (s *soaking) strayHistory() []string {
	store, err := history.Open(s.dir+"/.reconcile", 20, time.Now)
	if err != nil {
		return []string{err.Error()}
	}
	runs, err := store.Runs(nil)
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	mended := map[string]bool{}
	for _, r := range runs {
		if r.Open || r.Result == "" {
			out = append(out, fmt.Sprintf("run %s of %s is open", r.ID, r.Job))
		}
		mended[r.Job.Name+" "+r.NewFile] = true
	}
	for _, j := range s.jobs {
		if text := s.wantedText(j); j.there && j.sudo && !mended[j.name+" "+history.Hash([]byte(text))] && !j.tiered() {
			out = append(out, fmt.Sprintf("%s: its file was written with -E, and no run has mended it", j.name))
		}
	}
	if m := s.samples[len(s.samples)-1].metrics; m["reconcile_findings"] > float64(2*s.denied()) {
		out = append(out, fmt.Sprintf("the metrics count %v findings, with %d files that have one", m["reconcile_findings"], s.denied()))
	}
	return out
}

func (s *soaking) denied() (n int) {
	for _, j := range s.jobs {
		if j.denied && j.there {
			n++
		}
	}
	return n
}

func (s *soaking) print(took time.Duration) {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\t")
	for _, h := range soakHeld {
		fmt.Fprintf(w, "%s\t", h.title)
	}
	fmt.Fprintln(w, "CPU s\trest after\truns\tretries\trequests\t")
	for _, sample := range s.samples {
		fmt.Fprintf(w, "%s\t", sample.when)
		for _, h := range soakHeld {
			fmt.Fprintf(w, "%.0f\t", sample.metrics[h.metric]/h.unit)
		}
		fmt.Fprintf(w, "%.1f\t%v\t%.0f\t%.0f\t%.0f\t\n", sample.metrics["process_cpu_seconds_total"], sample.rested, sample.metrics["reconcile_runs_total"], sample.metrics["reconcile_queue_retries_total"], sample.metrics["reconcile_nomad_requests_total"])
	}
	w.Flush()
	last := s.samples[len(s.samples)-1].metrics
	for _, result := range []history.Result{history.Converged, history.Unchanged, history.Held, history.Denied, history.RolledBack, history.Failed} {
		fmt.Fprintf(&b, "runs %s: %.0f\n", result, last[fmt.Sprintf("reconcile_runs_total{result=%q}", result)])
	}
	for _, name := range slices.Sorted(maps.Keys(s.deeds)) {
		fmt.Fprintf(&b, "%6d  %s\n", s.deeds[name], name)
	}
	for _, kind := range slices.Sorted(maps.Keys(s.proxy.counts)) {
		fmt.Fprintf(&b, "%6d  %s\n", s.proxy.counts[kind], kind)
	}
	fmt.Fprintf(&b, "%d registers made a version, %d were refused\n", s.proxy.news, s.proxy.refused)
	s.t.Logf("seed %d, %d jobs; in the end all was as it must be after %v\n%s", *soak.seed, len(s.jobs), took, b.String())
}

// growth: after the first phase, which warms up, nothing that it holds grows.
func (s *soaking) growth() {
	if len(s.samples) < 4 {
		return
	}
	first, last := s.samples[1], s.samples[len(s.samples)-1]
	for _, h := range soakHeld {
		before, after := first.metrics[h.metric]/h.unit, last.metrics[h.metric]/h.unit
		if after > before*1.1+h.spare {
			s.t.Errorf("%s has grown from %.0f to %.0f", h.title, before, after)
		}
	}
}
