package nomad_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/nomad"
)

// unplaced is a job that the agent of the tests (one node, raw_exec alone) has no
// place for, and what is said of it.
type unplaced struct {
	change func(*api.Job)
	want   string
}

func group(change func(*api.TaskGroup)) func(*api.Job) {
	return func(j *api.Job) { change(j.TaskGroups[0]) }
}

func needing(r api.Resources) func(*api.Job) {
	return group(func(g *api.TaskGroup) { g.Tasks[0].Resources = &r })
}

func constrained(l, op, r string) func(*api.Job) {
	return func(j *api.Job) { j.Constraints = []*api.Constraint{{LTarget: l, Operand: op, RTarget: r}} }
}

func networked(n api.NetworkResource) func(*api.Job) {
	return group(func(g *api.TaskGroup) { g.Networks = []*api.NetworkResource{&n} })
}

func volume(v api.VolumeRequest) func(*api.Job) {
	return group(func(g *api.TaskGroup) { g.Volumes = map[string]*api.VolumeRequest{"data": &v} })
}

var unplacedJobs = map[string]unplaced{
	"memory": {needing(api.Resources{MemoryMB: new(40960000)}), "no node has 40960000 MB memory free"},
	"cpu":    {needing(api.Resources{CPU: new(4000000)}), "no node has 4000000 MHz cpu free"},
	"cores":  {needing(api.Resources{Cores: new(4096)}), "no node has 4096 cores free"},
	"disk": {group(func(g *api.TaskGroup) { g.EphemeralDisk = &api.EphemeralDisk{SizeMB: new(2000000000)} }),
		"no node has 2000000000 MB disk free"},
	"constraint":   {constrained("${attr.kernel.name}", "=", "windows"), "no node satisfies ${attr.kernel.name} = windows"},
	"version":      {constrained("${attr.nomad.version}", "version", ">= 9.0"), "no node satisfies ${attr.nomad.version} version >= 9.0"},
	"is set":       {constrained("${meta.rack}", "is_set", ""), "no node satisfies ${meta.rack} is_set"},
	"driver":       {group(func(g *api.TaskGroup) { g.Tasks[0].Driver = "docker" }), "no node has a healthy driver docker"},
	"datacenter":   {func(j *api.Job) { j.Datacenters = []string{"dc9"} }, "no ready node in datacenter dc9 of node pool default"},
	"host network": {networked(api.NetworkResource{DynamicPorts: []api.Port{{Label: "http", HostNetwork: "public"}}}), `no node has the host network "public" for port "http"`},
	"cni":          {networked(api.NetworkResource{Mode: "cni/mynet"}), "no node has the network cni/mynet"},
	"host volume":  {volume(api.VolumeRequest{Name: "data", Type: "host", Source: "data"}), "no node has the host volume data as the job asks for it"},
	"csi volume": {volume(api.VolumeRequest{Name: "data", Type: "csi", Source: "data", AccessMode: "single-node-writer", AttachmentMode: "file-system"}),
		"no node fits (missing CSI volume(s) data)"},
	"device": {needing(api.Resources{Devices: []*api.RequestedDevice{{Name: "nvidia/gpu", Count: new(uint64(2))}}}), "no node has 2 nvidia/gpu"},
	"distinct hosts": {func(j *api.Job) {
		j.TaskGroups[0].Count = new(3)
		j.Constraints = []*api.Constraint{{Operand: api.ConstraintDistinctHosts, RTarget: "true"}}
	}, "group web has no place for 2 allocations: no node takes another allocation of the job (distinct_hosts)"},
	"system": {func(j *api.Job) {
		j.Type = new(api.JobTypeSystem)
		constrained("${attr.kernel.name}", "=", "windows")(j)
	}, "no node satisfies ${attr.kernel.name} = windows"},
}

func unplacedJob(u unplaced) *api.Job {
	task := &api.Task{Name: "web", Driver: "raw_exec", Config: map[string]any{"command": "/bin/true"}}
	j := &api.Job{ID: new("unplaced"), Name: new("unplaced"), TaskGroups: []*api.TaskGroup{{Name: new("web"), Tasks: []*api.Task{task}}}}
	u.change(j)
	return j
}

// TestUnplaced holds the words against what a real Nomad put into its metrics.
func TestUnplaced(t *testing.T) {
	t.Parallel()
	for name, tt := range unplacedJobs {
		var failed map[string]*api.AllocationMetric
		if err := json.Unmarshal(readFile(t, placementFile(name)), &failed); err != nil {
			t.Fatal(err)
		}
		checkUnplaced(t, name, failed, tt)
	}
}

// realUnplaced asks a real Nomad, and holds or (-update) records what it says.
func realUnplaced(t *testing.T, url string) {
	c := newClient(t, url)
	for name, tt := range unplacedJobs {
		answer, err := c.Plan(t.Context(), unplacedJob(tt))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkUnplaced(t, name, answer.FailedTGAllocs, tt)
		if *update {
			recordPlacement(t, name, answer.FailedTGAllocs)
		}
	}
}

func checkUnplaced(t *testing.T, name string, failed map[string]*api.AllocationMetric, tt unplaced) {
	t.Helper()
	want := tt.want
	if name != "distinct hosts" {
		want = "group web has no place: " + want
	}
	if diff := cmp.Diff([]string{want}, nomad.Unplaced(failed, unplacedJob(tt))); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func placementFile(name string) string { return filepath.Join("testdata", "placement", name+".json") }

func recordPlacement(t *testing.T, name string, failed map[string]*api.AllocationMetric) {
	t.Helper()
	for _, m := range failed {
		m.AllocationTime, m.ScoreMetaData = 0, nil
	}
	text, err := json.MarshalIndent(failed, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(placementFile(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(placementFile(name), append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestUnplacedWords are those for what one node with nothing on it cannot show. The
// keys of the maps are as a real 2.0.5 words them.
func TestUnplacedWords(t *testing.T) {
	t.Parallel()
	lifecycle := func(hook string, sidecar bool) *api.TaskLifecycle {
		return &api.TaskLifecycle{Hook: hook, Sidecar: sidecar}
	}
	task := func(memory int, l *api.TaskLifecycle) *api.Task {
		return &api.Task{Driver: "docker", Lifecycle: l, Resources: &api.Resources{MemoryMB: new(memory), CPU: new(100)}}
	}
	j := &api.Job{Datacenters: []string{"a", "b"}, NodePool: new("all"), TaskGroups: []*api.TaskGroup{{Name: new("web"), Tasks: []*api.Task{
		task(1000, nil), task(4000, lifecycle("prestart", false)), task(500, lifecycle("prestart", true)), task(50, lifecycle("poststart", false)), task(4499, lifecycle("poststop", false)),
	}}}}
	system := &api.Job{Type: new("system"), TaskGroups: j.TaskGroups}
	tests := map[string]struct {
		metric api.AllocationMetric
		job    *api.Job
		want   string
	}{
		"tasks that do not run at once share": {api.AllocationMetric{NodesEvaluated: 3, DimensionExhausted: map[string]int{"memory": 3}}, j, "no node has 4500 MB memory free"},
		"some nodes":                          {api.AllocationMetric{NodesEvaluated: 3, ConstraintFiltered: map[string]int{"${attr.kernel.name} = windows": 2}, DimensionExhausted: map[string]int{"cpu": 1}}, j, "2 of 3 nodes do not satisfy ${attr.kernel.name} = windows, 1 of 3 nodes does not have 300 MHz cpu free"},
		"all nodes":                           {api.AllocationMetric{NodesEvaluated: 3, ConstraintFiltered: map[string]int{"${attr.kernel.name} = windows": 3}, ClassFiltered: map[string]int{"big": 2}}, j, "none of 3 nodes satisfies ${attr.kernel.name} = windows (2 of class big ruled out)"},
		"ruled out before":                    {api.AllocationMetric{NodesEvaluated: 3, ConstraintFiltered: map[string]int{"distinct_hosts": 1, "computed class ineligible": 2}}, j, "2 of 3 nodes do not differ from nodes that were ruled out before, 1 of 3 nodes does not take another allocation of the job (distinct_hosts)"},
		"a system job":                        {api.AllocationMetric{NodesEvaluated: 1, NodesExhausted: 1, DimensionExhausted: map[string]int{"memory": 1}}, system, "a node does not have 4500 MB memory free"},
		"several classes":                     {api.AllocationMetric{NodesEvaluated: 4, ConstraintFiltered: map[string]int{"${a} = b": 1, "missing drivers": 1, "computed class ineligible": 2}, ClassFiltered: map[string]int{"big": 3}, ClassExhausted: map[string]int{"small": 1}}, j, "1 of 4 nodes does not satisfy ${a} = b, 2 of 4 nodes do not differ from nodes that were ruled out before, 1 of 4 nodes does not have a healthy driver docker (3 of class big ruled out, 1 of class small full)"},
		"port":                                {api.AllocationMetric{NodesEvaluated: 1, DimensionExhausted: map[string]int{"network: reserved port collision web=18080": 1}}, j, `no node has port 18080 free (port "web")`},
		"ports":                               {api.AllocationMetric{NodesEvaluated: 1, DimensionExhausted: map[string]int{"network: dynamic port selection failed": 1}}, j, "no node has the ports or the network that it asks for (dynamic port selection failed)"},
		"devices in use":                      {api.AllocationMetric{NodesEvaluated: 1, DimensionExhausted: map[string]int{"devices: no devices match request": 1}}, j, "no node has the devices that it asks for free (no devices match request)"},
		"distinct property":                   {api.AllocationMetric{NodesEvaluated: 2, ConstraintFiltered: map[string]int{"distinct_property: ${node.datacenter}=dc1 used by 1 allocs": 2}}, j, "none of 2 nodes takes another allocation of the job: ${node.datacenter}=dc1 is used by 1 allocation (distinct_property)"},
		"quota":                               {api.AllocationMetric{NodesEvaluated: 2, QuotaExhausted: []string{"memory exhausted (4096 needed > 1024 limit)"}}, j, "the quota of the namespace is used up: memory exhausted (4096 needed > 1024 limit)"},
		"datacenters":                         {api.AllocationMetric{}, j, "no ready node in datacenters a, b"},
		"no job":                              {api.AllocationMetric{NodePool: "gpu"}, nil, "no ready node in node pool gpu"},
		"no job, memory":                      {api.AllocationMetric{NodesEvaluated: 1, DimensionExhausted: map[string]int{"memory": 1, "cores": 1, "new thing": 1}}, nil, "no node has enough cores free, no node has enough memory free, no node has enough new thing"},
		"no job, driver":                      {api.AllocationMetric{NodesEvaluated: 1, ConstraintFiltered: map[string]int{"missing drivers": 1}}, nil, "no node has a healthy driver that it asks for"},
		"no reason":                           {api.AllocationMetric{NodesEvaluated: 7}, j, "none of 7 nodes fits it"},
		"a reason without a name":             {api.AllocationMetric{NodesEvaluated: 2, ConstraintFiltered: map[string]int{"CSI plugin ebs is missing from client x": 2}}, j, "none of 2 nodes fits (CSI plugin ebs is missing from client x)"},
	}
	for name, tt := range tests {
		got := nomad.Unplaced(map[string]*api.AllocationMetric{"web": &tt.metric}, tt.job)
		if want := []string{"group web has no place: " + tt.want}; !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, want)
		}
	}
	three := map[string]*api.AllocationMetric{"web": {NodesEvaluated: 1, NodesExhausted: 1, CoalescedFailures: 2, DimensionExhausted: map[string]int{"memory": 1}}}
	if got := nomad.Unplaced(three, system); !slices.Equal(got, []string{"group web has no place on 3 nodes: a node does not have 4500 MB memory free"}) {
		t.Errorf("three nodes: %q", got)
	}
	if got := nomad.Unplaced(map[string]*api.AllocationMetric{"b": {}, "a": {}, "c": nil}, nil); !slices.Equal(got, []string{"group a has no place: no ready node", "group b has no place: no ready node"}) {
		t.Errorf("groups: %q", got)
	}
}
