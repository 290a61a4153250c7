package job_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// example has one of each shape that paths and edits meet.
func example() *api.Job {
	return &api.Job{
		ID: new("app"), Name: new("app"), Priority: new(50), Meta: map[string]string{"a.b": "dotted", "k": "v"},
		Datacenters: []string{"dc1", "dc2"},
		Constraints: []*api.Constraint{{LTarget: "${attr.x}", RTarget: "1", Operand: "="}, {RTarget: "2"}},
		TaskGroups: []*api.TaskGroup{{
			Name: new("web"), Count: new(2), ShutdownDelay: new(5 * time.Second),
			Volumes: map[string]*api.VolumeRequest{"data": {Name: "data", Source: "src"}},
			Networks: []*api.NetworkResource{{
				ReservedPorts: []api.Port{{Label: "admin", Value: 9901}},
				DynamicPorts:  []api.Port{{Label: "http", To: 8080}},
			}},
			Services: []*api.Service{{Name: "svc", Checks: []api.ServiceCheck{{Header: map[string][]string{"X-A": {"1", "2"}}}}}},
			Tasks: []*api.Task{{
				Name: "app", Driver: "docker", Env: map[string]string{"A": "1"},
				Config: map[string]any{
					"args":  []any{"-E", "run"},
					"mount": []map[string]any{{"type": "bind", "opts": []map[string]any{{"ro": true}}}},
					"many":  []map[string]any{{"x": 1}, {"x": 2}},
					"port":  []map[string]any{{"http": "8080"}},
				},
				Templates: []*api.Template{{EmbeddedTmpl: new("sudo -E run"), Splay: new(5 * time.Second)}},
				Resources: &api.Resources{MemoryMB: new(256)},
			}, {Name: "side"}},
		}},
	}
}

const app = `group["web"].task["app"].`

func at(t testing.TB, p string) job.Path {
	t.Helper()
	if strings.HasPrefix(p, ".") {
		p = app + p[1:]
	}
	out, err := job.ParsePath(p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPathRoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		path job.Path
	}{
		{"priority", job.Path{}.Attr("priority")},
		{`group["web"].task["app"].config.args[0]`, job.Path{}.Block("group", "web").Block("task", "app").Attr("config").Elem("args", 0)},
		{`group["web"].task["app"].template[0].data`, job.Path{}.Block("group", "web").Block("task", "app").Elem("template", 0).Attr("data")},
		{`meta["a.b"]`, job.Path{}.Attr("meta").Attr("a.b")},
		{`group["a \"quoted\" ä"].count`, job.Path{}.Block("group", `a "quoted" ä`).Attr("count")},
		{`group["web"].network[0].port["http"].to`, job.Path{}.Block("group", "web").Elem("network", 0).Block("port", "http").Attr("to")},
		{`config.matrix[0][1]`, job.Path{}.Attr("config").Elem("matrix", 0).Elem("", 1)},
		{`config.mount[1].type`, job.Path{}.Attr("config").Elem("mount", 1).Attr("type")},
	} {
		if got := c.path.String(); got != c.text {
			t.Errorf("String: %s, want %s", got, c.text)
		}
		got, err := job.ParsePath(c.text)
		if err != nil || !got.Equal(c.path) {
			t.Errorf("ParsePath(%s): %#v, %v", c.text, got, err)
		}
	}
	for text, want := range map[string]string{
		`meta["owner"]`:         "meta.owner",
		`config.port["http"]`:   "config.port.http", // below config nothing is a label
		`task["t"].env["A"]`:    `task["t"].env.A`,
		`scaling.policy["x"].y`: "scaling.policy.x.y",
	} {
		if got := at(t, text).String(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for _, bad := range []string{"", "a[", "a[1.5]", "a[-1]", "a.*.b", "1a"} {
		if p, err := job.ParsePath(bad); err == nil {
			t.Errorf("%q is taken for the path %s", bad, p)
		}
	}
}

func TestPathsDoNotShareMemory(t *testing.T) {
	t.Parallel()
	base := job.Path{}.Block("group", "g").Attr("env")
	a, b := base.Attr("A"), base.Attr("B")
	if a.String() == b.String() || !a.HasPrefix(base) || a.HasPrefix(b) || !a.Parent().Equal(base) {
		t.Errorf("%s, %s", a, b)
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		job  *api.Job
		id   job.ID
		text string
	}{
		{&api.Job{ID: new("a/b")}, job.ID{Namespace: "default", Name: "a/b"}, "a/b"},
		{&api.Job{ID: new("a"), Namespace: new("")}, job.ID{Namespace: "default", Name: "a"}, "a"},
		{&api.Job{ID: new("a"), Namespace: new("team")}, job.ID{Namespace: "team", Name: "a"}, "a@team"},
	} {
		if id := job.IDOf(c.job); id != c.id || id.String() != c.text {
			t.Errorf("%+v (%s), want %+v", id, id, c.id)
		}
	}
	a, b := job.ID{"default", "z"}, job.ID{"team", "a"}
	if a.Compare(b) >= 0 || b.Compare(a) <= 0 || a.Compare(a) != 0 || (job.ID{"team", "b"}).Compare(b) <= 0 {
		t.Error("IDs are ordered by namespace, then by name")
	}
}

func TestCloneIsDeepAndEqual(t *testing.T) {
	t.Parallel()
	a, b := example(), job.Clone(example())
	if diff := cmp.Diff(a, b); diff != "" {
		t.Fatal(diff)
	}
	if !job.Equal(a, b) {
		t.Fatal("a clone is not equal")
	}
	for name, change := range map[string]func(){
		"pointer":       func() { *b.TaskGroups[0].Count = 9 },
		"map":           func() { b.Meta["k"] = "changed" },
		"config":        func() { b.TaskGroups[0].Tasks[0].Config["args"].([]any)[0] = "x" },
		"config block":  func() { b.TaskGroups[0].Tasks[0].Config["mount"].([]map[string]any)[0]["type"] = "x" },
		"list":          func() { b.Datacenters[0] = "x" },
		"map of blocks": func() { b.TaskGroups[0].Volumes["data"].Source = "x" },
		"struct list":   func() { b.TaskGroups[0].Networks[0].DynamicPorts[0].To = 1 },
	} {
		b = job.Clone(a)
		change()
		if diff := cmp.Diff(a, example()); diff != "" {
			t.Errorf("%s: the original changed: %s", name, diff)
		}
		if job.Equal(a, b) {
			t.Errorf("%s: the change goes unseen", name)
		}
	}
	if job.Clone(nil) != nil {
		t.Error("a clone of nothing is nothing")
	}
}

func TestEqualLooksThroughJSON(t *testing.T) {
	t.Parallel()
	a := example()
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var back api.Job
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if !job.Equal(a, &back) || !job.Equal(&back, a) {
		t.Error("a job read back from JSON is not equal: numbers are float64 there, lists []any")
	}
	if diffs := job.Diff(a, &back, nil); len(diffs) > 0 {
		t.Error(diffs)
	}
	empty := &api.Job{Datacenters: []string{}, Meta: map[string]string{}}
	if !job.Equal(empty, &api.Job{}) {
		t.Error("nil and empty lists are the same")
	}
	if job.Equal(&api.Job{Priority: new(0)}, &api.Job{}) || job.Equal(nil, &api.Job{}) || !job.Equal(nil, nil) {
		t.Error("null and zero are not the same")
	}
	if job.Equal(&api.Job{Version: new(uint64(1))}, &api.Job{Version: new(uint64(2))}) {
		t.Error("what only the server sets counts")
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	str := cty.StringVal
	for _, c := range []struct {
		name  string
		edits []job.Edit
		want  func(*api.Job, *api.Task)
	}{
		{"list element removed", []job.Edit{{Path: at(t, ".config.args[0]"), Op: job.Remove}},
			func(_ *api.Job, a *api.Task) { a.Config["args"] = []any{"run"} }},
		{"indices are those of the job as read", []job.Edit{
			{Path: at(t, ".config.args[0]"), Op: job.Remove}, {Path: at(t, ".config.args[1]"), Op: job.Set, Value: str("go")},
		}, func(_ *api.Job, a *api.Task) { a.Config["args"] = []any{"go"} }},
		{"both elements removed", []job.Edit{{Path: at(t, ".config.args[0]"), Op: job.Remove}, {Path: at(t, ".config.args[1]"), Op: job.Remove}},
			func(_ *api.Job, a *api.Task) { a.Config["args"] = []any{} }},
		{"typed list element removed", []job.Edit{{Path: at(t, "datacenters[0]"), Op: job.Remove}},
			func(j *api.Job, _ *api.Task) { j.Datacenters = []string{"dc2"} }},
		{"key set and added", []job.Edit{{Path: at(t, ".env.A"), Op: job.Set, Value: str("2")}, {Path: at(t, ".env.B"), Op: job.Set, Value: cty.NumberIntVal(3)}},
			func(_ *api.Job, a *api.Task) { a.Env = map[string]string{"A": "2", "B": "3"} }},
		{"env made", []job.Edit{{Path: at(t, `group["web"].task["side"].env.A`), Op: job.Set, Value: str("1")}},
			func(j *api.Job, _ *api.Task) { j.TaskGroups[0].Tasks[1].Env = map[string]string{"A": "1"} }},
		{"key removed", []job.Edit{{Path: at(t, `meta["a.b"]`), Op: job.Remove}},
			func(j *api.Job, _ *api.Task) { delete(j.Meta, "a.b") }},
		{"part of a string", []job.Edit{{Path: at(t, ".template[0].data"), Op: job.Replace, Old: "-E ", Value: str("")}},
			func(_ *api.Job, a *api.Task) { a.Templates[0].EmbeddedTmpl = new("sudo run") }},
		{"parts of a string, by their place as read", []job.Edit{
			{Path: at(t, ".template[0].data"), Op: job.Replace, Old: "s", Value: str("S")},
			{Path: at(t, ".template[0].data"), Op: job.Replace, Old: " -E", At: 4, Value: str("")},
			{Path: at(t, ".template[0].data"), Op: job.Replace, Old: "r", At: 8, Value: str("-R")},
		}, func(_ *api.Job, a *api.Task) { a.Templates[0].EmbeddedTmpl = new("Sudo -Run") }},
		{"number, from text too", []job.Edit{{Path: at(t, ".resources.memory"), Op: job.Set, Value: str("512")}},
			func(_ *api.Job, a *api.Task) { a.Resources.MemoryMB = new(512) }},
		{"block made", []job.Edit{{Path: at(t, `group["web"].task["side"].resources.cpu`), Op: job.Set, Value: cty.NumberIntVal(1)}},
			func(j *api.Job, _ *api.Task) { j.TaskGroups[0].Tasks[1].Resources = &api.Resources{CPU: new(1)} }},
		{"duration", []job.Edit{{Path: at(t, `group["web"].shutdown_delay`), Op: job.Set, Value: str("1m")}},
			func(j *api.Job, _ *api.Task) { j.TaskGroups[0].ShutdownDelay = new(time.Minute) }},
		{"attribute removed", []job.Edit{{Path: at(t, `group["web"].count`), Op: job.Remove}},
			func(j *api.Job, _ *api.Task) { j.TaskGroups[0].Count = nil }},
		{"block removed", []job.Edit{{Path: at(t, ".resources"), Op: job.Remove}},
			func(_ *api.Job, a *api.Task) { a.Resources = nil }},
		{"block of many removed", []job.Edit{{Path: at(t, "constraint[0]"), Op: job.Remove}},
			func(j *api.Job, _ *api.Task) { j.Constraints = j.Constraints[1:] }},
		{"labelled block removed", []job.Edit{{Path: at(t, `group["web"].task["side"]`), Op: job.Remove}},
			func(j *api.Job, _ *api.Task) { j.TaskGroups[0].Tasks = j.TaskGroups[0].Tasks[:1] }},
		{"block in a map", []job.Edit{{Path: at(t, `group["web"].volume["data"].source`), Op: job.Set, Value: str("new")}},
			func(j *api.Job, _ *api.Task) { j.TaskGroups[0].Volumes["data"].Source = "new" }},
		{"static port", []job.Edit{{Path: at(t, `group["web"].network[0].port["admin"].static`), Op: job.Set, Value: cty.NumberIntVal(1)}},
			func(j *api.Job, _ *api.Task) { j.TaskGroups[0].Networks[0].ReservedPorts[0].Value = 1 }},
		{"dynamic port made static", []job.Edit{{Path: at(t, `group["web"].network[0].port["http"].static`), Op: job.Set, Value: cty.NumberIntVal(80)}},
			func(j *api.Job, _ *api.Task) {
				n := j.TaskGroups[0].Networks[0]
				n.ReservedPorts, n.DynamicPorts = append(n.ReservedPorts, api.Port{Label: "http", Value: 80, To: 8080}), nil
			}},
		{"header value", []job.Edit{{Path: at(t, `group["web"].service[0].check[0].header["X-A"][1]`), Op: job.Remove}},
			func(j *api.Job, _ *api.Task) {
				j.TaskGroups[0].Services[0].Checks[0].Header = map[string][]string{"X-A": {"1"}}
			}},
		{"nested config block", []job.Edit{{Path: at(t, ".config.mount[0].type"), Op: job.Set, Value: str("volume")}, {Path: at(t, ".config.mount.opts.ro"), Op: job.Set, Value: cty.False}},
			func(_ *api.Job, a *api.Task) {
				a.Config["mount"] = []map[string]any{{"type": "volume", "opts": []map[string]any{{"ro": false}}}}
			}},
		{"map in a config", []job.Edit{{Path: at(t, ".config.labels"), Op: job.Set, Value: cty.ObjectVal(map[string]cty.Value{"a": str("b")})}},
			func(_ *api.Job, a *api.Task) { a.Config["labels"] = []map[string]any{{"a": "b"}} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in, want := example(), example()
			c.want(want, want.TaskGroups[0].Tasks[0])
			got, err := job.Apply(in, c.edits)
			if err != nil {
				t.Fatal(err)
			}
			if !job.Equal(got, want) {
				t.Error(cmp.Diff(want, got))
			}
			if diff := cmp.Diff(example(), in); diff != "" {
				t.Errorf("Apply changed its argument: %s", diff)
			}
		})
	}
}

func TestOverlaps(t *testing.T) {
	t.Parallel()
	part := func(p string, from int, old string) job.Edit {
		return job.Edit{Path: at(t, p), Op: job.Replace, Old: old, At: from}
	}
	data := part(".template[0].data", 4, " -E")
	for _, c := range []struct {
		other job.Edit
		want  bool
	}{
		{data, true},
		{part(".template[0].data", 6, "E r"), true},
		{part(".template[0].data", 7, " r"), false},
		{part(".template[0].data", 0, "sudo"), false},
		{part(".config.args[0]", 4, " -E"), false},
		{job.Edit{Path: data.Path, Op: job.Set}, true},
	} {
		if got := data.Overlaps(c.other); got != c.want || c.other.Overlaps(data) != c.want {
			t.Errorf("%+v: got %v", c.other, got)
		}
	}
}

func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	str := cty.StringVal
	for _, c := range []struct {
		edit job.Edit
		want string
	}{
		{job.Edit{Op: job.Set}, "needs a path"},
		{job.Edit{Path: at(t, ".config.args[2]"), Op: job.Remove}, "no element 2"},
		{job.Edit{Path: at(t, ".env.NONE"), Op: job.Remove}, `no "NONE"`},
		{job.Edit{Path: at(t, ".driverr"), Op: job.Set, Value: str("x")}, `no "driverr" here`},
		{job.Edit{Path: at(t, `group["none"].count`), Op: job.Set, Value: str("1")}, "no such group"},
		{job.Edit{Path: at(t, `group["web"].count`), Op: job.Set, Value: str("many")}, "number is required"},
		{job.Edit{Path: at(t, `group["web"].shutdown_delay`), Op: job.Set, Value: str("soon")}, "not a duration"},
		{job.Edit{Path: at(t, ".template[0].data"), Op: job.Replace, Old: "none", Value: str("")}, "not there"},
		{job.Edit{Path: at(t, ".template[0].data"), Op: job.Replace, Old: "sudo", Value: cty.ListValEmpty(cty.String)}, "only be replaced by a string"},
		{job.Edit{Path: at(t, ".template[0].data"), Op: job.Replace, Old: "-E", At: 4, Value: str("")}, "not there"},
		{job.Edit{Path: at(t, ".template[0].data"), Op: job.Replace, Old: "-E", At: 99, Value: str("")}, "not there"},
		{job.Edit{Path: at(t, ".config.many.x"), Op: job.Set, Value: str("")}, "2 blocks here"},
		{job.Edit{Path: at(t, ".resources"), Op: job.Set, Value: str("x")}, "removed whole"},
		{job.Edit{Path: at(t, ".vault.role"), Op: job.Remove}, "no vault block"},
		{job.Edit{Path: at(t, ".config.x"), Op: job.Set, Value: cty.UnknownVal(cty.String)}, "not known"},
	} {
		if _, err := job.Apply(example(), []job.Edit{c.edit}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.edit, err, c.want)
		}
	}
}

func TestAt(t *testing.T) {
	t.Parallel()
	j := example()
	for p, want := range map[string]cty.Value{
		".config.args[0]":    cty.StringVal("-E"),
		".template[0].data":  cty.StringVal("sudo -E run"),
		".template[0].splay": cty.StringVal("5s"),
		`meta["a.b"]`:        cty.StringVal("dotted"),
		`group["web"].count`: cty.NumberIntVal(2),
		`group["web"].network[0].port["admin"].static`:   cty.NumberIntVal(9901),
		`group["web"].network[0].port["http"].to`:        cty.NumberIntVal(8080),
		`group["web"].volume["data"].source`:             cty.StringVal("src"),
		`group["web"].service[0].check[0].header["X-A"]`: cty.TupleVal([]cty.Value{cty.StringVal("1"), cty.StringVal("2")}),
		".config.mount.type":                             cty.StringVal("bind"),
		".config.mount[0].opts[0].ro":                    cty.True,
		".name":                                          cty.StringVal("app"),
	} {
		if got, ok := job.At(j, at(t, p)); !ok || !got.RawEquals(want) {
			t.Errorf("%s: %#v, %t", p, got, ok)
		}
	}
	for _, p := range []string{".user.x", "region", `group["none"]`, ".config.args[9]", ".config.none", `constraint[7]`} {
		if got, ok := job.At(j, at(t, p)); ok {
			t.Errorf("%s: %#v", p, got)
		}
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	a, b := example(), example()
	b.Priority = new(70)
	g := b.TaskGroups[0]
	g.Tasks[0].Config["args"] = []any{"run"}
	g.Tasks[0].Env["B"] = "2"
	g.Tasks[0].Config["port"] = []map[string]any{{"http": "1"}}
	g.Networks[0].ReservedPorts[0].Value = 1
	g.Volumes["data"].Source = "x"
	b.Constraints = b.Constraints[:1]
	g.Tasks = append(g.Tasks[:1], &api.Task{Name: "new"})
	var got []string
	for _, d := range job.Diff(a, b, []job.Path{at(t, "priority")}) {
		got = append(got, d.Path.String())
	}
	want := []string{
		`constraint[1]`,
		`group["web"].network[0].port["admin"].static`,
		`group["web"].task["app"].config.args`,
		`group["web"].task["app"].config.port[0].http`,
		`group["web"].task["app"].env.B`,
		`group["web"].task["new"]`,
		`group["web"].task["side"]`,
		`group["web"].volume["data"].source`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, p := range got {
		if again, err := job.ParsePath(p); err != nil || again.String() != p {
			t.Errorf("%s does not read back: %v", p, err)
		}
	}
	d := job.Diff(a, b, nil)[0]
	if d.After.IsNull() != true || d.Before.IsNull() {
		t.Errorf("a side where the place is not there is null: %#v", d)
	}
	if diffs := job.Diff(a, job.Clone(a), nil); len(diffs) > 0 {
		t.Error(diffs)
	}
	if diffs := job.Diff(nil, a, nil); len(diffs) != 1 {
		t.Errorf("all of a job that is not there is one difference: %v", diffs)
	}
}

func TestGoValue(t *testing.T) {
	t.Parallel()
	obj := cty.ObjectVal(map[string]cty.Value{"a": cty.NumberIntVal(1)})
	for _, c := range []struct {
		in   cty.Value
		want any
	}{
		{cty.StringVal("x"), "x"},
		{cty.NumberIntVal(3), 3},
		{cty.NumberFloatVal(1.5), 1.5},
		{cty.True, true},
		{cty.NullVal(cty.String), nil},
		{cty.EmptyTupleVal, []any{}},
		{cty.TupleVal([]cty.Value{cty.StringVal("a"), obj}), []any{"a", map[string]any{"a": 1}}},
		{cty.TupleVal([]cty.Value{obj}), []map[string]any{{"a": 1}}},
		{cty.ListValEmpty(cty.Map(cty.String)), []map[string]any{}},
		{cty.StringVal("s").Mark("secret"), "s"},
	} {
		got, err := job.GoValue(c.in)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%#v: %#v, %v", c.in, got, err)
		}
	}
	if _, err := job.GoValue(cty.UnknownVal(cty.String)); err == nil {
		t.Error("an unknown value is an error")
	}
}

func TestRedaction(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]bool{
		"PASSWORD": true, "db_password": true, "AWS_SECRET_ACCESS_KEY": true, "API_KEY": true, "apikey": true, "authToken": true,
		"DB_PASS": true, "private_key": true, "token": true, "credentials": true,
		"compass": false, "monkey": false, "author": false, "LOG_LEVEL": false, "KEY": false, "tokenizer": false,
	} {
		if job.IsSecretName(name) != secret {
			t.Errorf("%s: %t", name, !secret)
		}
	}
	if !job.IsSecretPath(at(t, ".env.DB_PASSWORD")) || job.IsSecretPath(at(t, ".env.A")) {
		t.Error("a path is secret as its names are")
	}
	for text, want := range map[string]string{
		"postgres://user:hunter2@db/x":           "postgres://user:(redacted)@db/x",
		"--token abc run":                        "--token (redacted) run",
		"DB_PASSWORD=hunter2 ./run":              "DB_PASSWORD=(redacted) ./run",
		`{"api_key": "abc", "b": 1}`:             `{"api_key": (redacted), "b": 1}`,
		"nothing to hide at https://example.com": "nothing to hide at https://example.com",
	} {
		got := job.RedactText(text)
		if got != want {
			t.Errorf("%s: %s", text, got)
		}
		if again := job.RedactText(got); again != got {
			t.Errorf("redacting twice: %s", again)
		}
	}
}

func TestCalled(t *testing.T) {
	t.Parallel()
	web, prod := job.ID{Namespace: "default", Name: "web"}, job.ID{Namespace: "prod", Name: "web"}
	for name, want := range map[string][2]bool{
		"web": {true, true}, "web@default": {true, false}, "web@prod": {false, true}, "": {}, "we": {}, "web@": {}, "@prod": {},
	} {
		if got := [2]bool{web.Called(name), prod.Called(name)}; got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
