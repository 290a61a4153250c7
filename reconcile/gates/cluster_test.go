package gates

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
)

// cluster is an in-process Nomad, and a client of it.
type cluster struct {
	*nomad.Client
	t      *testing.T
	server *nomadtest.Server
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	server, err := nomadtest.Start(nomadtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	client, err := nomad.New(&api.Config{Address: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{client, t, server}
}

// sleepers is a job whose tasks run until they are stopped; each group has the port
// "http" at the given number.
func sleepers(name string, ports ...int) *api.Job {
	j := &api.Job{ID: &name, Type: new("service"), Datacenters: []string{"*"}}
	for i, port := range ports {
		g := &api.TaskGroup{Name: new(fmt.Sprintf("g%d", i)), Count: new(1)}
		g.Tasks = []*api.Task{{Name: "main", Driver: "raw_exec", KillTimeout: new(50 * time.Millisecond), Config: map[string]any{"command": "sleep", "args": []any{"600"}}}}
		if port != 0 {
			g.Networks = []*api.NetworkResource{{ReservedPorts: []api.Port{{Label: "http", Value: port}}}}
		}
		j.TaskGroups = append(j.TaskGroups, g)
	}
	return j
}

// run registers a job and waits until its allocations run.
func (c *cluster) run(j *api.Job) Change {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	id := job.ID{Namespace: job.DefaultNamespace, Name: *j.ID}
	var index uint64
	if live, err := c.Job(ctx, id); err == nil {
		index = *live.JobModifyIndex
	}
	done, err := c.Register(ctx, j, nil, index)
	if err != nil {
		c.t.Fatal(err)
	}
	live, err := c.Job(ctx, id)
	if err != nil {
		c.t.Fatal(err)
	}
	change := Change{ID: id, Job: live, JobModifyIndex: done.JobModifyIndex, EvalID: done.EvalID}
	for at := uint64(0); ; {
		allocs, next, err := c.Allocations(ctx, id, at)
		if err != nil {
			c.t.Fatal(err)
		}
		running := 0
		for _, a := range fresh(allocs, change.version()) {
			if a.ClientStatus == api.AllocClientStatusRunning {
				running++
			}
		}
		if _, nothing := nothingToRun(live); nothing || running == Count(live) {
			return change
		}
		at = next
	}
}

// decoded is a gate of a kind, from the text of its block.
func decoded(t *testing.T, kind, name, src string) (policies.Gate, hcl.Diagnostics) {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(src), "gate.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	spec, diags := Kinds()[kind](name, f.Body)
	return policies.Gate{Kind: kind, Name: name, Spec: spec}, diags
}

func gate(t *testing.T, kind, name, src string) policies.Gate {
	t.Helper()
	g, diags := decoded(t, kind, name, src)
	if diags.HasErrors() {
		t.Fatalf("%s\n%s", src, diags)
	}
	return g
}

// mistakes are the diagnostics of one block each.
func checkMistakes(t *testing.T, kind string, tests map[string]string) {
	t.Helper()
	for src, want := range tests {
		_, diags := decoded(t, kind, "n", src)
		var got []string
		for _, d := range diags {
			got = append(got, fmt.Sprintf("%d:%d %s: %s", d.Subject.Start.Line, d.Subject.Start.Column, d.Summary, d.Detail))
		}
		if d := cmp.Diff(want, strings.Join(got, "\n")); d != "" {
			t.Errorf("%s\n%s", src, d)
		}
	}
}

// checkJob is what a gate has to say of a job before a run.
func checkJob(g policies.Gate, j *api.Job) string {
	var got []string
	for _, d := range g.Spec.(policies.JobChecker).CheckJob(j) {
		got = append(got, d.Error())
	}
	return strings.Join(got, "\n")
}

// portOf is the port of a test's server.
func portOf(t *testing.T, s *httptest.Server) int {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// verdictOf is a result in one line, with IDs and addresses taken out.
func verdictOf(r Result, known ...string) string {
	word := map[bool]string{true: "passed", false: "failed"}[r.Passed]
	if r.Cancelled {
		word = "cancelled"
	}
	return strings.NewReplacer(known...).Replace(word + ": " + r.Detail)
}
