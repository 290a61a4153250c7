package policies

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// scope is what expressions see of one job: Nomad's defaults filled in, on a
// copy that is made when the first expression asks. Paths and edits are about
// the job as given.
type scope struct {
	given, live *api.Job
	filled      *api.Job
	job, liveV  cty.Value
}

func newScope(j, live *api.Job) *scope { return &scope{given: j, live: live} }

func canonical(j *api.Job) *api.Job {
	if j == nil {
		return nil
	}
	j = job.Clone(j)
	j.Canonicalize()
	return j
}

func (s *scope) fill() {
	if s.filled == nil {
		s.filled = canonical(s.given)
		s.job, s.liveV = job.Value(s.filled), job.Value(canonical(s.live))
	}
}

// ofJob is the context of expressions about a whole job.
func (s *scope) ofJob() *hcl.EvalContext {
	s.fill()
	return &hcl.EvalContext{Functions: functions, Variables: map[string]cty.Value{"job": s.job}}
}

// taskVariables are what expressions about a task see.
var taskVariables = []string{"job", "group", "task", "live"}

// ofTask is the context of expressions about task t of group g, by position.
func (s *scope) ofTask(g, t int) *hcl.EvalContext {
	s.fill()
	group := s.filled.TaskGroups[g]
	return &hcl.EvalContext{Functions: functions, Variables: map[string]cty.Value{
		"job": s.job, "live": s.liveV, "group": job.ValueOf(group), "task": job.ValueOf(group.Tasks[t]),
	}}
}
