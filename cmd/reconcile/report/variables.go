package report

import (
	"io"
	"strings"

	"nomad-reconcile/reconcile"
)

// Variables writes a table of a job file's variables: name, value and where the
// value is from.
func Variables(w io.Writer, vars []reconcile.Variable, s Style) {
	p := &page{Style: s}
	if len(vars) == 0 {
		p.line(0, "The job file declares no variables.")
		p.flush(w)
		return
	}
	rows := [][3]string{{"NAME", "VALUE", "ORIGIN"}}
	for _, v := range vars {
		rows = append(rows, [3]string{printable(v.Name), shown(v), printable(v.Origin)})
	}
	p.variablesTable(rows)
	p.flush(w)
}

// shown is a variable's value in one line, without its secrets.
func shown(v reconcile.Variable) string { return inline(plainNamed(v.Name, v.Value)) }

// widestValue is the width from which on a value does not push the origins of
// the others aside.
const widestValue = 40

func (p *page) variablesTable(rows [][3]string) {
	var names, values, origins int
	for _, r := range rows {
		names, origins = max(names, cells(r[0])), max(origins, cells(r[2]))
	}
	for i := range rows {
		if p.Width > 0 {
			rows[i][1] = clip(rows[i][1], max(p.room(names+origins+4), narrowest/2))
		}
		if n := cells(rows[i][1]); n <= widestValue {
			values = max(values, n)
		}
	}
	for i, r := range rows {
		color := ""
		if i == 0 {
			color = bold
		}
		p.line(0, p.paint(color, padded(r[0], names)+"  "+padded(r[1], values)+"  "+r[2]))
	}
}

func padded(s string, n int) string { return s + strings.Repeat(" ", max(n-cells(s), 0)) }
