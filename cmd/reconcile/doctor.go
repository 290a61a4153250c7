package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/doctor"
	"nomad-reconcile/reconcile/gates"
)

// gateTime is how long the gates of a job that runs may take: somebody waits.
const gateTime = 10 * time.Second

func runDoctor(in *invocation) int {
	var f planFlags
	var policy repeated
	declareConfig(in.flags, &f.config)
	in.flags.Var(&policy, "policy", "a policy `FILE` or folder, or library:NAME, instead of a configuration; may be repeated")
	in.flags.BoolVar(&f.json, "json", false, "print one JSON object instead of text")
	code, ok := in.parse("JOB|FILE", `
		Says why a job does not start: the most likely cause in one sentence, then what that
		rests on (findings, the last events and lines of its tasks, what this host's sudoers
		says of its sudo lines, placement, deployment, gates), then what to type next. It
		changes nothing.`)
	if !ok {
		return code
	}
	if len(in.args) != 1 {
		return in.misuse("doctor takes one job, by its ID or its file.")
	}
	ctx, stop := interruptible()
	defer stop()
	defer in.giveUp(ctx)()
	isJob := len(policy) > 0 && !looksLikeFile(in.args[0]) && missing(in.args[0])
	s, err := in.open(wants{config: f.config, policies: policy, args: in.args, noFiles: isJob}, len(policy) == 0)
	if err != nil {
		return in.refuse(err)
	}
	if isJob {
		s.sel = reconcile.Selection{Jobs: in.args}
	}
	s.planner.ReadOnly = true
	d := in.doctor(s, f.syncOf(s.config))
	facts, result, err := d.Look(ctx, s.sel)
	code = in.mistakes(result.Diagnostics, result.Sources)
	if errors.Is(err, doctor.ErrNoJob) {
		return in.refuse(in.noJob(s, result))
	}
	if err != nil {
		return in.refuse(err)
	}
	facts.Bare, facts.Flags = len(policy) > 0, repeatedFlags(f.config, policy)
	page := doctor.Examine(facts)
	if !f.json {
		report.Doctor(in.stdout, page, in.out)
	} else if err := report.DoctorJSON(in.stdout, page); err != nil {
		return in.refuse(err)
	}
	return worst(code, healthCode(page.Health))
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return err != nil
}

func (in *invocation) doctor(s *session, sync reconcile.Sync) *doctor.Doctor {
	here, _ := os.Hostname() // without a name it is no allocation's host
	return &doctor.Doctor{
		Planner: s.planner, Nomad: s.client, Sync: sync, AskSudo: gates.AskSudo,
		AgentUser: agentUser("/proc"), Here: here, Now: in.now, GateTime: gateTime,
	}
}

// noJob: a file that holds none, or a name that nothing knows.
func (in *invocation) noJob(s *session, r reconcile.Result) error {
	if err := in.unknown(reconcile.Selection{}, r); err != nil {
		return err
	}
	if len(s.sel.Jobs) == 0 {
		return fmt.Errorf("%s holds no job", in.args[0])
	}
	return fmt.Errorf("no job file of the sources declares the job %q, and Nomad does not know it either; `reconcile plan` and `nomad job status` list those that are known", in.args[0])
}

// repeatedFlags are those that the next commands must be given too.
func repeatedFlags(config string, policy []string) string {
	var out []string
	for _, p := range policy {
		out = append(out, "-policy "+p)
	}
	if len(policy) == 0 && config != defaultConfig {
		out = append(out, "-config "+config)
	}
	return strings.Join(out, " ")
}

func healthCode(h doctor.Health) int {
	return map[doctor.Health]int{
		doctor.Fine: exitOK, doctor.Denied: exitDenied, doctor.Held: exitHeld, doctor.Ill: exitFailed, doctor.Blind: exitError,
	}[h]
}

// agentUser is whom the Nomad agents of this host run as; empty where there is
// none, or they differ.
func agentUser(proc string) string {
	names, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "comm"))
	found := ""
	for _, name := range names {
		comm, _ := os.ReadFile(name) // it may have gone meanwhile
		args, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
		info, err := os.Stat(name)
		if err != nil || string(bytes.TrimSpace(comm)) != "nomad" || !bytes.Contains(args, []byte("\x00agent")) {
			continue
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			continue
		}
		who, err := user.LookupId(strconv.FormatUint(uint64(stat.Uid), 10))
		if err != nil || found != "" && found != who.Username {
			return ""
		}
		found = who.Username
	}
	return found
}
