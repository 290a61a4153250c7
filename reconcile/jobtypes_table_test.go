package reconcile_test

import (
	"maps"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
)

type ends map[string]end

// but is the same with other ends for some events.
func (all ends) but(others ends) ends {
	out := maps.Clone(all)
	maps.Copy(out, others)
	return out
}

// What comes after the run, in the words of the next plan.
const (
	tried       = " | then: this revision failed already in run ID*"
	onlyDrift   = " | then: 1 differ between file and live job | *JOB"
	allIsThere  = " | then: "
	noOneStarts = " | then: stopped by an operator | an operator stopped it: reconcile apply -start JOB"
	rerunIt     = " | then: 1 to fix in the live job | registering a batch job runs it again: reconcile apply -rerun JOB"
	promoteIt   = "waiting for promotion: nomad deployment promote ID"
	leftAsIs    = "; to put a batch job back is to run it again: file and job stay as the run left them | *"
)

// Ends that are the same for many kinds.
var (
	stoppedBefore = end{reconcile.InSync, history.Converged, noOneStarts}
	conflict      = end{reconcile.OutOfSync, history.RolledBack, "registering job JOB: changed since it was read (*); everything is as it was | then: * to fix in the file, * to fix in the live job, 1 differ between file and live job | *JOB"}
	overtaken     = end{reconcile.OutOfSync, history.Failed, "somebody else changed the job: a newer revision of the job (version *) took over; file and job stay as they are | *" + onlyDrift}
	stoppedAway   = end{reconcile.InSync, history.Failed, "somebody else changed the job: *stopped*; file and job stay as they are | *" + noOneStarts}
)

// running is what becomes of a job whose deployment gate says so when all is well.
func running(well string) ends { return runningThen(well, well) }

// runningThen is that for jobs which say something else after a rollback.
func runningThen(well, again string) ends {
	good := end{reconcile.InSync, history.Converged, " | deployment: " + well + allIsThere}
	back := func(gate, why string) end {
		return end{reconcile.Held, history.RolledBack, "gate " + gate + ": " + why + "; * | *deployment after the rollback: " + again + tried}
	}
	return ends{
		"good":              good,
		"cannot start":      back("deployment", `*; task *: *"/no/such/command" could not be found`),
		"no place":          back("deployment", "not healthy before the deadline: *no*"),
		"crashes":           back("deployment", "*; task *: Exit Code: 3"),
		"gate fails":        back("logs quiet", `forbidden "^fatal: " in stderr of task *, allocation ID: fatal: it is`),
		"stopped before":    stoppedBefore,
		"stopped meanwhile": stoppedAway,
		"Nomad gone":        good,
		"conflict":          conflict,
		"overtaken":         overtaken,
	}
}

// byHand is what becomes of canaries that a person has to promote.
func byHand(promote string) ends {
	waits := end{reconcile.Converging, history.Held, promote + " | deployment: " + promote + " | then: " + promote}
	gate := running("1 of 1 allocations healthy")["gate fails"]
	return running("1 of 1 allocations healthy").but(ends{"good": waits, "Nomad gone": waits, "gate fails": gate})
}

// fileOnly is what becomes of a batch job that is not to run again: whatever the
// change is, it is made in the file alone.
func fileOnly() ends {
	out := ends{}
	for _, e := range events {
		out[e.name] = end{reconcile.OutOfSync, history.Converged, rerunIt}
	}
	out["stopped before"] = stoppedBefore
	return out
}

// again is what becomes of a batch job that may run again. One that fails is not
// put back, which would run the old one.
func again() ends {
	const well = "1 of 1 allocations running or complete"
	good := end{reconcile.InSync, history.Converged, " | deployment: " + well + allIsThere}
	fails := func(why string) end {
		return end{reconcile.Failed, history.Failed, "gate " + why + leftAsIs}
	}
	return ends{
		"good":              good,
		"cannot start":      fails(`deployment: allocation ID is failed; task main: *"/no/such/command" could not be found`),
		"no place":          fails("deployment: not healthy before the deadline: *no*"),
		"crashes":           fails("deployment: allocation ID is failed; task main: Exit Code: 3"),
		"gate fails":        {reconcile.InSync, history.Failed, `gate logs quiet: forbidden "^fatal: " in stderr of task main, allocation ID: fatal: it is` + leftAsIs},
		"stopped before":    stoppedBefore,
		"stopped meanwhile": stoppedAway,
		"Nomad gone":        good,
		"conflict":          conflict,
		"overtaken":         overtaken,
	}
}

// launched is what becomes of a job that only its launches run: the gate launches
// it once.
func launched() ends {
	const well = "deployment: takes effect at the next launch | *dispatch launch: JOB/* completed"
	back := func(why string) end {
		return end{reconcile.Held, history.RolledBack, "gate dispatch launch: " + why + "; file and job are as they were | deployment: takes effect at the next launch | *deployment after the rollback: takes effect at the next launch" + tried}
	}
	good := end{reconcile.InSync, history.Converged, " | " + well + allIsThere}
	return ends{
		"good":              good,
		"cannot start":      back(`JOB/*: allocation ID is failed; task main: *"/no/such/command" could not be found`),
		"no place":          back("the deadline came; until then: JOB/* is pending, and goes on"),
		"crashes":           back("JOB/*: allocation ID is failed; task main: Exit Code: 3"),
		"gate fails":        {reconcile.InSync, history.Converged, " | " + well + " | logs quiet: takes effect at the next launch" + allIsThere},
		"stopped before":    stoppedBefore,
		"stopped meanwhile": stoppedAway,
		"Nomad gone":        good,
		"conflict":          conflict,
		"overtaken":         overtaken,
	}
}

// nothingRuns is what becomes of a job whose count is 0: there is nothing to see.
func nothingRuns() ends {
	const says = " | deployment: count is 0, nothing to run"
	good := end{reconcile.InSync, history.Converged, says + allIsThere}
	return ends{
		"good": good, "cannot start": good, "no place": good, "crashes": good, "Nomad gone": good,
		"gate fails":        {reconcile.InSync, history.Converged, says + " | logs quiet: count is 0, nothing to run" + allIsThere},
		"stopped before":    stoppedBefore,
		"stopped meanwhile": {reconcile.InSync, history.Converged, says + noOneStarts},
		"conflict":          conflict,
		"overtaken":         {reconcile.OutOfSync, history.Converged, says + onlyDrift},
	}
}

// table says for each kind of job and each event how a run ends.
var table = map[string]ends{
	"service": running("1 of 1 allocations healthy"),
	"restart": running("1 of 1 allocations healthy").but(ends{
		"conflict": {reconcile.OutOfSync, history.Failed, "registering job JOB: changed since it was read (*); the file is as it was; the job was registered by somebody else meanwhile and stays so | then: 1 to fix in the file, *"},
	}),
	"defaults":         running("1 of 1 allocations healthy"),
	"no deployment":    running("1 of 1 allocations running"),
	"groups":           running("3 of 3 allocations healthy"),
	"rolling":          running("3 of 3 allocations healthy"),
	"count 0":          nothingRuns(),
	"hooks":            running("1 of 1 allocations healthy"),
	"canaries":         running("1 of 1 allocations healthy"),
	"canaries by hand": byHand(promoteIt),
	"auto revert": running("1 of 1 allocations healthy").but(ends{
		"cannot start": {reconcile.Held, history.RolledBack, `gate deployment: Failed due to unhealthy allocations - rolling back to job version 0; task main: *"/no/such/command" could not be found; Nomad rolled the job back | *deployment after the rollback: 1 of 1 allocations healthy` + tried},
		"crashes":      {reconcile.Held, history.RolledBack, "gate deployment: Failed due to unhealthy allocations - rolling back to job version 0; task main: Exit Code: 3; Nomad rolled the job back | *deployment after the rollback: 1 of 1 allocations healthy" + tried},
	}),
	"namespace":      byHand("waiting for promotion: nomad deployment promote -namespace apps ID"),
	"pool":           running("1 of 1 allocations healthy"),
	"system":         runningThen("1 of 1 allocations healthy", "1 of 1 allocations *"),
	"system of old":  running("1 of 1 allocations running"),
	"batch":          fileOnly(),
	"batch again":    again(),
	"sysbatch":       fileOnly(),
	"sysbatch again": again(),
	"periodic":       launched(),
	"parameterized":  launched(),
}
