package reconcile

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/jobspec/jobspectest"
	"nomad-reconcile/state/nomad/nomadtest"
	real "nomad-reconcile/state/nomad/nomadtest/agent"
)

var record = flag.Bool("record-alike", false, "write what a real Nomad makes of the jobs of TestAlike")

// alikeCase is one thing that Nomad adds or leaves out: a job file, the live job that
// a real Nomad made of it (in testdata/alike), and what must be noticed.
type alikeCase struct {
	name  string
	job   string // in the job block
	group string // in its group; with no task, a plain one is added
	twins map[string]func(live, desired *api.Job)
}

const plainTask = "task \"t\" {\n driver = \"raw_exec\"\n config {\n command = \"/bin/true\"\n }\n}\n"

func (c alikeCase) file() string {
	group := c.group
	if !strings.Contains(group, "task \"") {
		group += plainTask
	}
	return "job \"alike\" {\n" + c.job + "\ngroup \"g\" {\n" + group + "\n}\n}\n"
}

func (c alikeCase) path() string {
	return filepath.Join("testdata", "alike", strings.ReplaceAll(c.name, " ", "-")+".json")
}

func (c alikeCase) desired(t *testing.T) *api.Job {
	t.Helper()
	f, diags := jobspec.Parse(c.name+".hcl", []byte(c.file()), jobspec.Inputs{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return f.Job
}

func (c alikeCase) live(t *testing.T) *api.Job {
	t.Helper()
	raw, err := os.ReadFile(c.path())
	var j api.Job
	if err == nil {
		err = json.Unmarshal(raw, &j)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &j
}

// The parts of a job with one group.
func theGroup(j *api.Job) *api.TaskGroup { return j.TaskGroups[0] }
func theTask(j *api.Job) *api.Task       { return theGroup(j).Tasks[0] }

func without(attribute string) func(live, desired *api.Job) {
	return func(live, _ *api.Job) {
		g := theGroup(live)
		n := len(g.Constraints)
		g.Constraints = slices.DeleteFunc(g.Constraints, func(c *api.Constraint) bool { return c.LTarget == attribute })
		if len(g.Constraints) == n {
			panic("there is no constraint on " + attribute)
		}
	}
}

func weaker(attribute string) func(live, desired *api.Job) {
	return func(live, _ *api.Job) {
		i := slices.IndexFunc(theGroup(live).Constraints, func(c *api.Constraint) bool { return c.LTarget == attribute })
		theGroup(live).Constraints[i].RTarget = ">= 0.0.1"
	}
}

// constraint is a case in which Nomad adds one to the group.
func constraint(name, attribute, group string) alikeCase {
	return alikeCase{name: name, group: group, twins: map[string]func(live, desired *api.Job){
		"live lacks it":    without(attribute),
		"live has another": weaker(attribute),
		"not of what is": func(live, _ *api.Job) {
			l := theGroup(live)
			l.Constraints = append(l.Constraints, api.NewConstraint("${attr.x}", "=", "1"))
		},
		"live has its twin": func(live, _ *api.Job) {
			l := theGroup(live)
			l.Constraints = append(l.Constraints, api.NewConstraint(attribute, "=", "own"))
		},
	}}
}

const taskWith = "task \"t\" {\n driver = \"docker\"\n config {\n image = \"x\"\n }\n"

var alikeCases = []alikeCase{
	{name: "defaults", twins: map[string]func(live, desired *api.Job){
		"another priority":     func(live, _ *api.Job) { live.Priority = new(51) },
		"another node pool":    func(live, _ *api.Job) { live.NodePool = new("gpu") },
		"another datacenter":   func(live, _ *api.Job) { live.Datacenters = []string{"dc1"} },
		"another region":       func(_, desired *api.Job) { desired.Region = new("eu") },
		"another namespace":    func(live, _ *api.Job) { live.Namespace = new("apps") },
		"another name":         func(live, _ *api.Job) { live.Name = new("other") },
		"another type":         func(_, desired *api.Job) { desired.Type = new("batch") },
		"stopped":              func(live, _ *api.Job) { live.Stop = new(true) },
		"a child":              func(live, _ *api.Job) { live.ParentID = new("parent") },
		"another count":        func(live, _ *api.Job) { theGroup(live).Count = new(2) },
		"another group":        func(live, _ *api.Job) { live.TaskGroups = append(live.TaskGroups, theGroup(live)) },
		"no group":             func(live, _ *api.Job) { live.TaskGroups = nil },
		"another task":         func(live, _ *api.Job) { theGroup(live).Tasks = append(theGroup(live).Tasks, theTask(live)) },
		"another restart":      func(live, _ *api.Job) { theGroup(live).RestartPolicy.Attempts = new(9) },
		"another reschedule":   func(live, _ *api.Job) { theGroup(live).ReschedulePolicy.Unlimited = new(false) },
		"no reschedule":        func(live, _ *api.Job) { theGroup(live).ReschedulePolicy = nil },
		"another migrate":      func(live, _ *api.Job) { theGroup(live).Migrate.MaxParallel = new(9) },
		"another update":       func(live, _ *api.Job) { theGroup(live).Update.Canary = new(1) },
		"no update":            func(live, _ *api.Job) { theGroup(live).Update = nil },
		"another disk":         func(live, _ *api.Job) { theGroup(live).EphemeralDisk.SizeMB = new(301) },
		"another log":          func(live, _ *api.Job) { theTask(live).LogConfig.MaxFiles = new(11) },
		"log off":              func(live, _ *api.Job) { theTask(live).LogConfig.Disabled = new(true) },
		"another kill timeout": func(live, _ *api.Job) { theTask(live).KillTimeout = new(time.Second) },
		"another cpu":          func(live, _ *api.Job) { theTask(live).Resources.CPU = new(101) },
		"cores":                func(live, _ *api.Job) { theTask(live).Resources.Cores = new(1) },
		"memory":               func(live, _ *api.Job) { theTask(live).Resources.MemoryMaxMB = new(1) },
		"another identity":     func(live, _ *api.Job) { theTask(live).Identity.Env = true },
		"no identity":          func(live, _ *api.Job) { theTask(live).Identity = nil },
		"one more identity":    func(live, _ *api.Job) { theTask(live).Identities = []*api.WorkloadIdentity{{Name: "vault_default"}} },
		"zero is not unset":    func(live, _ *api.Job) { theGroup(live).ShutdownDelay = new(time.Duration(0)) },
		"an env":               func(live, _ *api.Job) { theTask(live).Env = map[string]string{"A": ""} },
		"a meta":               func(live, _ *api.Job) { live.Meta = map[string]string{"a": "b"} },
		"a config":             func(live, _ *api.Job) { theTask(live).Config["args"] = []any{} },
		"a constraint":         func(live, _ *api.Job) { live.Constraints = []*api.Constraint{{LTarget: "a"}} },
		"a service":            func(live, _ *api.Job) { theGroup(live).Services = []*api.Service{{Name: "a"}} },
	}},
	{name: "update of the job", job: "update {\n max_parallel = 3\n canary = 1\n}", group: "update {\n canary = 2\n}\n", twins: map[string]func(live, desired *api.Job){
		"the group's is gone": func(_, desired *api.Job) { theGroup(desired).Update = nil },
		"the job's is gone":   func(_, desired *api.Job) { desired.Update = nil },
	}},
	{name: "reschedule of the job", job: "reschedule {\n attempts = 2\n interval = \"1h\"\n unlimited = false\n}", twins: map[string]func(live, desired *api.Job){
		"it is gone": func(_, desired *api.Job) { desired.Reschedule = nil },
	}},
	{name: "system", job: "type = \"system\"", twins: map[string]func(live, desired *api.Job){
		"live has reschedule": func(live, _ *api.Job) { theGroup(live).ReschedulePolicy = &api.ReschedulePolicy{} },
	}},
	{name: "periodic", job: "type = \"batch\"\nperiodic {\n crons = [\"@daily\"]\n}", twins: map[string]func(live, desired *api.Job){
		"overlap":        func(live, _ *api.Job) { live.Periodic.ProhibitOverlap = new(true) },
		"another time":   func(live, _ *api.Job) { live.Periodic.Specs = []string{"@hourly"} },
		"one more time":  func(live, _ *api.Job) { live.Periodic.Spec = new("@hourly") },
		"no longer":      func(_, desired *api.Job) { desired.Periodic = nil },
		"another clock":  func(_, desired *api.Job) { desired.Periodic.TimeZone = new("Europe/Berlin") },
		"switched off":   func(_, desired *api.Job) { desired.Periodic.Enabled = new(false) },
		"parameterized":  func(_, desired *api.Job) { desired.ParameterizedJob = &api.ParameterizedJobConfig{} },
		"of two regions": func(_, desired *api.Job) { desired.Multiregion = &api.Multiregion{} },
	}},
	{name: "parameterized", job: "type = \"batch\"\nparameterized {\n meta_required = [\"a\"]\n}", twins: map[string]func(live, desired *api.Job){
		"another payload": func(live, _ *api.Job) { live.ParameterizedJob.Payload = "required" },
		"another key":     func(live, _ *api.Job) { live.ParameterizedJob.MetaRequired = []string{"b"} },
	}},
	{name: "scaling", group: "scaling {\n max = 3\n policy {\n a = 1\n}\n}\n", twins: map[string]func(live, desired *api.Job){
		"another max":    func(live, _ *api.Job) { theGroup(live).Scaling.Max = new(int64(4)) },
		"another min":    func(live, _ *api.Job) { theGroup(live).Scaling.Min = new(int64(0)) },
		"another target": func(live, _ *api.Job) { theGroup(live).Scaling.Target["Group"] = "other" },
		"another policy": func(live, _ *api.Job) { theGroup(live).Scaling.Policy["a"] = 1.5 },
		"switched off":   func(live, _ *api.Job) { theGroup(live).Scaling.Enabled = new(false) },
		"it is gone":     func(_, desired *api.Job) { theGroup(desired).Scaling = nil },
		"empty, not none": func(live, desired *api.Job) {
			theGroup(live).Scaling.Policy, theGroup(desired).Scaling.Policy = nil, map[string]any{}
		},
	}},
	{name: "disconnect", group: "disconnect {\n lost_after = \"1h\"\n}\n", twins: map[string]func(live, desired *api.Job){
		"another replace": func(live, _ *api.Job) { theGroup(live).Disconnect.Replace = new(false) },
		"it is gone":      func(_, desired *api.Job) { theGroup(desired).Disconnect = nil },
	}},
	{name: "ports", group: "network {\n port \"a\" {}\n port \"b\" {\n static = 8080\n}\n}\n", twins: map[string]func(live, desired *api.Job){
		"another host network": func(live, _ *api.Job) { theGroup(live).Networks[0].DynamicPorts[0].HostNetwork = "public" },
		"static elsewhere":     func(live, _ *api.Job) { theGroup(live).Networks[0].ReservedPorts[0].Value = 8081 },
		"one more": func(live, _ *api.Job) {
			n := theGroup(live).Networks[0]
			n.DynamicPorts = append(n.DynamicPorts, api.Port{Label: "c"})
		},
		"bandwidth": func(live, _ *api.Job) { theGroup(live).Networks[0].MBits = new(10) },
	}},
	{name: "template", group: taskWith + "template {\n data = \"x\"\n destination = \"local/x\"\n change_mode = \"signal\"\n change_signal = \"sighup\"\n}\n}\n", twins: map[string]func(live, desired *api.Job){
		"no signals":     without("${attr.os.signals}"),
		"another signal": func(live, _ *api.Job) { theTask(live).Templates[0].ChangeSignal = new("SIGINT") },
		"a user":         func(live, _ *api.Job) { theTask(live).Templates[0].Uid = new(0) },
	}},
	constraint("kill signal", "${attr.os.signals}", taskWith+"kill_signal = \"SIGINT\"\n}\n"),
	constraint("vault", "${attr.vault.version}", taskWith+"vault {}\nidentity {\n name = \"vault_default\"\n aud = [\"a\"]\n}\n}\n"),
	constraint("more identities", "${attr.nomad.version}", taskWith+"identity {\n name = \"own\"\n aud = [\"a\"]\n}\n}\n"),
	constraint("consul", "${attr.consul.version}", "service {\n name = \"${BASE}\"\n check {\n type = \"tcp\"\n port = \"1\"\n interval = \"9s\"\n timeout = \"9s\"\n}\n}\n"),
	constraint("native services", "${attr.nomad.service_discovery}", "service {\n provider = \"nomad\"\n}\n"),
	constraint("partition", "${attr.consul.partition}", "consul {\n partition = \"p\"\n}\n"),
	constraint("bridge", "${attr.plugins.cni.version.bridge}", "network {\n mode = \"bridge\"\n}\n"),
	constraint("transparent proxy", "${attr.plugins.cni.version.consul-cni}", "network {\n mode = \"bridge\"\n}\nservice {\n name = \"s\"\n port = \"1\"\n connect {\n sidecar_service {\n proxy {\n transparent_proxy {}\n}\n}\n}\n}\n"),
	{name: "own constraint first", group: "constraint {\n attribute = \"${attr.consul.version}\"\n operator = \"semver\"\n value = \">= 1.9.0\"\n}\nservice {\n name = \"s\"\n}\n", twins: map[string]func(live, desired *api.Job){
		"it is gone": func(_, desired *api.Job) { theGroup(desired).Constraints = nil },
	}},
	{name: "service of a task", group: "network {\n port \"p\" {}\n}\n" + taskWith + "service {\n name = \"s-${TASK}\"\n port = \"p\"\n tags = [\"a\"]\n check_restart {\n limit = 3\n}\n check {\n type = \"tcp\"\n interval = \"9s\"\n timeout = \"9s\"\n}\n}\n}\n", twins: map[string]func(live, desired *api.Job){
		"another name":       func(live, _ *api.Job) { theTask(live).Services[0].Name = "s-${TASK}" },
		"another task":       func(live, _ *api.Job) { theTask(live).Services[0].TaskName = "u" },
		"another check":      func(live, _ *api.Job) { theTask(live).Services[0].Checks[0].Name = "own" },
		"a check of another": func(live, _ *api.Job) { theTask(live).Services[0].Checks[0].TaskName = "u" },
		"no restarts":        func(live, _ *api.Job) { theTask(live).Services[0].Checks[0].CheckRestart = nil },
		"another provider":   func(live, _ *api.Job) { theTask(live).Services[0].Provider = "nomad" },
		"an identity":        func(live, _ *api.Job) { theTask(live).Services[0].Identity = &api.WorkloadIdentity{Name: "a"} },
		"no constraint":      func(live, _ *api.Job) { theTask(live).Constraints = nil },
		"another tag":        func(live, _ *api.Job) { theTask(live).Services[0].Tags = []string{"b"} },
	}},
	{name: "service identity", group: "service {\n name = \"s\"\n identity {\n aud = [\"a\"]\n}\n}\n", twins: map[string]func(live, desired *api.Job){
		"another name":     func(live, _ *api.Job) { theGroup(live).Services[0].Identity.Name = "own" },
		"another service":  func(live, _ *api.Job) { theGroup(live).Services[0].Identity.ServiceName = "own" },
		"another audience": func(live, _ *api.Job) { theGroup(live).Services[0].Identity.Audience[0] = "b" },
		"it is gone":       func(_, desired *api.Job) { theGroup(desired).Services[0].Identity = nil },
	}},
	{name: "sidecar", group: "network {\n mode = \"bridge\"\n}\nservice {\n name = \"s\"\n port = \"1\"\n connect {\n sidecar_service {\n proxy {\n upstreams {\n destination_name = \"o\"\n local_bind_port = 1\n}\n}\n}\n sidecar_task {\n config {\n a = 1\n}\n resources {\n cpu = 77\n}\n}\n}\n}\n", twins: map[string]func(live, desired *api.Job){
		"no task":           func(live, _ *api.Job) { theGroup(live).Tasks = theGroup(live).Tasks[:1] },
		"another image":     func(live, _ *api.Job) { theGroup(live).Tasks[1].Config["image"] = "envoy" },
		"another driver":    func(live, _ *api.Job) { theGroup(live).Tasks[1].Driver = "podman" },
		"other resources":   func(live, _ *api.Job) { theGroup(live).Tasks[1].Resources.CPU = new(250) },
		"other constraints": func(live, _ *api.Job) { theGroup(live).Tasks[1].Constraints[0].RTarget = ">= 1.7.0" },
		"no port":           func(live, _ *api.Job) { theGroup(live).Networks[0].DynamicPorts = nil },
		"another port":      func(live, _ *api.Job) { theGroup(live).Networks[0].DynamicPorts[0].To = 1 },
		"another upstream": func(live, _ *api.Job) {
			theGroup(live).Services[0].Connect.SidecarService.Proxy.Upstreams[0].LocalBindPort = 2
		},
		"adjusted no more": func(_, desired *api.Job) { theGroup(desired).Services[0].Connect.SidecarTask = nil },
		"no sidecar":       func(_, desired *api.Job) { theGroup(desired).Services[0].Connect = nil },
	}},
	{name: "native connect", group: "network {}\nservice {\n name = \"s\"\n port = \"1\"\n connect {\n native = true\n}\n}\n", twins: map[string]func(live, desired *api.Job){
		"no kind":      func(live, _ *api.Job) { theTask(live).Kind = "" },
		"another task": func(live, _ *api.Job) { theGroup(live).Services[0].TaskName = "" },
		"no connect":   func(_, desired *api.Job) { theGroup(desired).Services[0].Connect = nil },
	}},
	{name: "config", group: taskWith[:len(taskWith)-2] + "n = 1\n f = 1.5\n b = true\n l = [1, \"a\"]\n m {\n x = [\"y\"]\n}\n}\n}\n", twins: map[string]func(live, desired *api.Job){
		"a number":        func(live, _ *api.Job) { theTask(live).Config["n"] = 2.0 },
		"a string of it":  func(live, _ *api.Job) { theTask(live).Config["n"] = "1" },
		"false":           func(live, _ *api.Job) { theTask(live).Config["b"] = false },
		"a list":          func(live, _ *api.Job) { theTask(live).Config["l"] = []any{1.0} },
		"another order":   func(live, _ *api.Job) { theTask(live).Config["l"] = []any{"a", 1.0} },
		"a map":           func(live, _ *api.Job) { theTask(live).Config["m"] = []any{map[string]any{"x": []any{}}} },
		"null":            func(live, _ *api.Job) { theTask(live).Config["n"] = nil },
		"a key":           func(live, _ *api.Job) { delete(theTask(live).Config, "n") },
		"empty, not null": func(live, desired *api.Job) { theTask(live).Config["l"] = nil; theTask(desired).Config["l"] = []any{} },
	}},
}

func TestAlike(t *testing.T) {
	if *record {
		recordAlike(t)
	}
	for _, c := range alikeCases {
		t.Run(c.name, func(t *testing.T) {
			if live, desired := c.live(t), c.desired(t); !alike(live, desired) {
				t.Fatalf("as registered, but not alike: %s", whereUnlike(live, desired))
			}
			if live := c.live(t); !alike(live, live) || !alike(live, job.Clone(live)) {
				t.Errorf("registered again, but not alike: %s", whereUnlike(live, live))
			}
			for what, change := range c.twins {
				live, desired := c.live(t), c.desired(t)
				if change(live, desired); alike(live, desired) {
					t.Errorf("%s: alike", what)
				}
			}
		})
	}
}

// recordAlike has a real Nomad make the live jobs.
func recordAlike(t *testing.T) {
	c := idleNomad(t, real.Find(os.Getenv("NOMAD_BIN")), vault)
	for _, one := range alikeCases {
		j := one.desired(t)
		if _, _, err := c.Jobs().Register(j, nil); err != nil {
			t.Fatalf("%s: %v\n%s", one.name, err, one.file())
		}
		live, _, err := c.Jobs().Info(*j.ID, nil)
		if err == nil {
			_, _, err = c.Jobs().Deregister(*j.ID, true, nil)
		}
		raw, _ := json.MarshalIndent(live, "", " ")
		if err == nil {
			err = os.MkdirAll(filepath.Dir(one.path()), 0o755)
		}
		if err == nil {
			err = os.WriteFile(one.path(), append(raw, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAlikeOfNothing(t *testing.T) {
	j := &api.Job{ID: new("a")}
	if alike(nil, j) || alike(j, nil) || alike(nil, nil) {
		t.Error("a job is like none")
	}
}

// TestAlikeGenerated: the double stores what Nomad stores, so that what is measured
// with it is true of Nomad too.
func TestAlikeGenerated(t *testing.T) {
	srv, err := nomadtest.Start(nomadtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	c, err := api.NewClient(&api.Config{Address: srv.URL()})
	if err != nil {
		t.Fatal(err)
	}
	jobs := map[string]*api.Job{}
	for _, f := range jobspectest.Generate(200) {
		addJob(jobs, f.Name, f.Bytes)
	}
	for name, j := range jobs {
		_, _, err := c.Jobs().Register(job.Clone(j), nil)
		if err != nil {
			t.Fatal(err)
		}
		live, _, err := c.Jobs().Info(*j.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !alike(live, j) {
			t.Errorf("%s: %s", name, whereUnlike(live, j))
		}
	}
}

// TestAdded: what servers add by their configuration is not known until a dry-run has
// shown no difference, and is then asked of every live job.
func TestAdded(t *testing.T) {
	const service = "consul {}\nservice {\n name = \"s\"\n}\n" + taskWith + "vault {}\n}\n"
	desired := alikeCase{name: "added", group: service}.desired(t)
	registered := func(servers *added) *api.Job {
		j := job.Clone(desired)
		if !stored(j, &api.Job{}, servers) {
			t.Fatal("not known what is stored")
		}
		return j
	}
	adding := func(audience string) *added {
		id := &api.WorkloadIdentity{Audience: []string{audience}}
		return &added{uses: map[string]*api.WorkloadIdentity{"vault_default": id, "consul_default": id, "service_default": id}}
	}
	none, some, other := registered(nothingAdded), registered(adding("a")), registered(adding("b"))
	if ids := theTask(some).Identities; len(ids) != 2 || ids[0].Name != "consul_default" || ids[1].Name != "vault_default" {
		t.Errorf("%+v", ids)
	}
	for _, tt := range []struct {
		name    string
		learnt  *api.Job
		alikeTo []*api.Job
	}{
		{"nothing learnt", nil, nil},
		{"that none are added", none, []*api.Job{none}},
		{"those that are", some, []*api.Job{some}},
	} {
		var known added
		if tt.learnt != nil {
			known.learn(tt.learnt, desired)
		}
		for _, live := range []*api.Job{none, some, other} {
			if got, want := known.alike(live, desired), slices.Contains(tt.alikeTo, live); got != want {
				t.Errorf("%s: alike is %t", tt.name, got)
			}
		}
	}
	if !alike(none, desired) || alike(some, desired) {
		t.Error("alike takes it that none are added")
	}
}

// TestStillAlike: what a job may say without Nomad storing it.
func TestStillAlike(t *testing.T) {
	c := alikeCases[0]
	for what, change := range map[string]func(live, desired *api.Job){
		"the region of the server": func(live, desired *api.Job) { live.Region, desired.Region = new("eu"), new("global") },
		"no region":                func(live, desired *api.Job) { live.Region, desired.Region = new("eu"), new("") },
		"no namespace":             func(_, desired *api.Job) { desired.Namespace = new("") },
		"no node pool":             func(_, desired *api.Job) { desired.NodePool = new("") },
		"a parent":                 func(_, desired *api.Job) { desired.ParentID = new("a") },
		"a namespace of Consul":    func(_, desired *api.Job) { desired.ConsulNamespace = new("a") },
		"dispatched":               func(_, desired *api.Job) { desired.Dispatched, desired.DispatchIdempotencyToken = true, new("a") },
		"what the server counts":   func(_, desired *api.Job) { desired.Version, desired.Status = new(uint64(9)), new("dead") },
		"a disk in the resources":  func(_, desired *api.Job) { theTask(desired).Resources = &api.Resources{DiskMB: new(9)} },
		"logs that are enabled":    func(_, desired *api.Job) { theTask(desired).LogConfig = &api.LogConfig{Enabled: new(true)} },
		"no time to be killed in":  func(_, desired *api.Job) { theTask(desired).KillTimeout = new(time.Duration(0)) },
		"its own identity":         func(_, desired *api.Job) { theTask(desired).Identity = &api.WorkloadIdentity{} },
		"it among the others":      func(_, desired *api.Job) { theTask(desired).Identities = []*api.WorkloadIdentity{{Name: "default"}} },
		"empty lists and maps": func(_, desired *api.Job) {
			desired.Meta, desired.Constraints = map[string]string{}, []*api.Constraint{}
		},
		"an empty config":           func(live, desired *api.Job) { theTask(live).Config, theTask(desired).Config = nil, map[string]any{} },
		"a constraint of two twice": func(live, desired *api.Job) { desired.Constraints = twice("a"); live.Constraints = twice("a")[:1] },
		"a disconnect": func(live, desired *api.Job) {
			theGroup(live).Disconnect = &api.DisconnectStrategy{LostAfter: new(time.Duration(0)), Replace: new(true), Reconcile: new(api.ReconcileOptionBestScore)}
			theGroup(desired).Disconnect = &api.DisconnectStrategy{}
		},
		"a device of a network": func(live, desired *api.Job) {
			theGroup(live).Networks = []*api.NetworkResource{{Mode: "host"}}
			theGroup(desired).Networks = []*api.NetworkResource{{Mode: "host", Device: "eth0", MBits: new(0)}}
		},
	} {
		live, desired := c.live(t), c.desired(t)
		if change(live, desired); !alike(live, desired) {
			t.Errorf("%s: %s", what, whereUnlike(live, desired))
		}
	}
}

// TestStillAlikeVault: the same of a task's vault block.
func TestStillAlikeVault(t *testing.T) {
	c := alikeCases[slices.IndexFunc(alikeCases, func(c alikeCase) bool { return c.name == "vault" })]
	live, desired := c.live(t), c.desired(t)
	theTask(live).Vault.Namespace, theTask(live).Vault.ChangeSignal = new("ns"), new("SIGHUP")
	desired.VaultNamespace, live.VaultNamespace = new("ns"), new("ns")
	v := theTask(desired).Vault
	v.Policies, v.Cluster, v.ChangeMode, v.ChangeSignal = []string{"a"}, "", new(""), new("sighup")
	if !alike(live, desired) {
		t.Error(whereUnlike(live, desired))
	}
}

func twice(attribute string) []*api.Constraint {
	return []*api.Constraint{{LTarget: attribute}, {LTarget: attribute}}
}
