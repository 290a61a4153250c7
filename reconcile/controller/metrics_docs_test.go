package controller_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ctyyaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
)

// described is a metric as a table row tells of it, or the code makes it.
type described struct {
	kind   string
	labels string // in the order of the alphabet
}

// made are our metrics, all of which have samples.
func made(t *testing.T) map[string]described {
	t.Helper()
	m := newMetrics()
	m.Findings(policySet(t, sudoPolicy), nil)
	m.Loaded("hash", time.Unix(1, 0), nil)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	out := map[string]described{}
	for line := range strings.Lines(w.Body.String()) {
		if f := strings.Fields(line); strings.HasPrefix(line, "# TYPE reconcile_") {
			out[f[2]] = described{kind: f[3]}
		}
	}
	for line := range strings.Lines(w.Body.String()) {
		name, rest, _ := strings.Cut(strings.Fields(line)[0], "{")
		name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if d, ours := out[name]; ours {
			d.labels = labelsIn(rest)
			out[name] = d
		}
	}
	return out
}

var labelName = regexp.MustCompile(`(\w+)="`)

func labelsIn(braces string) string {
	var names []string
	for _, m := range labelName.FindAllStringSubmatch(braces, -1) {
		if m[1] != "le" {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

var metricRow = regexp.MustCompile("^\\| `(reconcile_\\w+)` \\| (\\w+) \\|([^|]*)\\| \\S")

// cmd/reconcile/README.md lists every metric with its type and labels.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../cmd/reconcile/README.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]described{}
	for line := range strings.Lines(string(text)) {
		if m := metricRow.FindStringSubmatch(line); m != nil {
			labels := strings.Fields(strings.NewReplacer("`", "", ",", "").Replace(m[3]))
			slices.Sort(labels)
			told[m[1]] = described{m[2], strings.Join(labels, " ")}
		}
	}
	if d := cmp.Diff(made(t), told, cmp.AllowUnexported(described{})); d != "" {
		t.Errorf("the metrics and cmd/reconcile/README.md differ (-code +page):\n%s", d)
	}
}

// Alerts and dashboard use what there is, with labels and values that there are.
func TestDeployedMetricsAreThere(t *testing.T) {
	t.Parallel()
	all := made(t)
	used := 0
	for what, expr := range expressions(t) {
		known := map[string]bool{"job": true, "le": true} // Prometheus's own
		for _, name := range regexp.MustCompile(`reconcile_\w+`).FindAllString(expr, -1) {
			base := name
			if all[base].kind == "" {
				base = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
			}
			if d := all[base]; d.kind == "" || base != name && d.kind != "histogram" {
				t.Errorf("%s: there is no %s", what, name)
			}
			for _, l := range strings.Fields(all[base].labels) {
				known[l] = true
			}
			used++
		}
		for _, m := range regexp.MustCompile(`(\w+)=~?"([^"]*)"|by \(([^)]*)\)`).FindAllStringSubmatch(expr, -1) {
			for _, l := range strings.FieldsFunc(m[1]+" "+m[3], func(r rune) bool { return r == ' ' || r == ',' }) {
				if !known[l] {
					t.Errorf("%s: there is no label %s", what, l)
				}
			}
			for v := range strings.SplitSeq(m[2], "|") {
				if m[1] == "condition" && !slices.ContainsFunc(controller.Conditions(), func(c reconcile.Condition) bool { return string(c) == v }) {
					t.Errorf("%s: there is no condition %s", what, v)
				}
			}
		}
		if strings.Count(expr, "(") != strings.Count(expr, ")") {
			t.Errorf("%s: %s", what, expr)
		}
	}
	if used < 15 {
		t.Errorf("hardly anything is used: %d", used)
	}
}

// expressions are those of alerts and dashboard, by what they are for.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, a := range alerts(t) {
		name := a.GetAttr("alert").AsString()
		if out[name] != "" {
			t.Errorf("two alerts are called %s", name)
		}
		out[name] = a.GetAttr("expr").AsString()
		for _, path := range [][2]string{{"labels", "severity"}, {"annotations", "summary"}, {"annotations", "next"}} {
			if a.GetAttr(path[0]).GetAttr(path[1]).AsString() == "" {
				t.Errorf("%s has no %s", name, path[1])
			}
		}
	}
	text, err := os.ReadFile("../../config/deploy/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		for i, target := range p.Targets {
			out[fmt.Sprintf("panel %q, %d", p.Title, i)] = target.Expr
		}
	}
	return out
}

func alerts(t *testing.T) []cty.Value {
	t.Helper()
	text, err := os.ReadFile("../../config/deploy/prometheus-alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	kind, err := ctyyaml.Standard.ImpliedType(text)
	if err != nil {
		t.Fatal(err)
	}
	file, err := ctyyaml.Standard.Unmarshal(text, kind)
	if err != nil {
		t.Fatal(err)
	}
	var out []cty.Value
	for _, group := range file.GetAttr("groups").AsValueSlice() {
		out = append(out, group.GetAttr("rules").AsValueSlice()...)
	}
	return out
}
