package reconcile

import (
	"encoding/json"

	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// remembered is what a plan makes of the live job, for the run's record: without
// secrets, and without what stays as it is.
func remembered(diff []Change) []history.Change {
	var out []history.Change
	for _, c := range diff {
		if c.Stays {
			continue
		}
		out = append(out, history.Change{Path: c.Path.String(), Before: inJSON(c.Path, c.Before), After: inJSON(c.Path, c.After), Finding: c.Finding})
	}
	return out
}

func inJSON(p job.Path, v cty.Value) json.RawMessage {
	if v == cty.NilVal {
		return nil
	}
	plain, err := job.GoValue(v)
	if err != nil { // a value that no job can hold, such as an unknown one
		plain = "(not known)"
	}
	data, err := json.Marshal(job.RedactValue(p, plain))
	if err != nil {
		return nil
	}
	return data
}
