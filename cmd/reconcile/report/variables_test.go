package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
)

func TestVariables(t *testing.T) {
	t.Parallel()
	vars := []reconcile.Variable{
		{Name: "地区", Origin: "var_file prod.vars.hcl:3", Value: cty.StringVal("欧洲")},
		{Name: "db_password", Origin: "var", Value: cty.StringVal("planted")},
		{Name: "long", Origin: "default", Value: cty.StringVal(strings.Repeat("one word, ", 6))},
		{Name: "port", Origin: "NOMAD_VAR_port", Value: cty.NumberIntVal(80)},
		{Name: "esc", Origin: "var_file \x1b[2J:1", Value: cty.StringVal("\x1b")},
	}
	for _, tt := range []struct {
		name  string
		vars  []reconcile.Variable
		style report.Style
		want  string
	}{
		{"whole", vars, report.Style{}, `NAME         VALUE       ORIGIN
地区         "欧洲"      var_file prod.vars.hcl:3
db_password  (redacted)  var
long         "one word, one word, one word, one word, one word, one word, "  default
port         80          NOMAD_VAR_port
esc          "\u001b"    var_file \u001b[2J:1
`},
		{"70 columns", vars, report.Style{Width: 70}, `NAME         VALUE                            ORIGIN
地区         "欧洲"                           var_file prod.vars.hcl:3
db_password  (redacted)                       var
long         "one word, one word, one wor...  default
port         80                               NOMAD_VAR_port
esc          "\u001b"                         var_file \u001b[2J:1
`},
		{"narrow", vars[2:3], report.Style{Width: 10, Color: true}, "\x1b[1mNAME  VALUE                      ORIGIN\x1b[0m\nlong  \"one word, one word, o...  default\n"},
		{"none", nil, report.Style{Color: true}, "The job file declares no variables.\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			report.Variables(&out, tt.vars, tt.style)
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
