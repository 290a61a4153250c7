package gates

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/nomad"
)

const defaultWindow = 15 * time.Second

// logs reads stdout and stderr of the new allocations from their start. A line
// that is forbidden fails it at once; at the end of the window every required
// pattern must have been seen in every allocation.
type logs struct {
	task            string // empty: every task
	forbid, require []*regexp.Regexp
	window          time.Duration
	taskRange       hcl.Range
}

type logsBody struct {
	Task    hcl.Expression `hcl:"task,optional"`
	Forbid  hcl.Expression `hcl:"forbid,optional"`
	Require hcl.Expression `hcl:"require,optional"`
	Window  hcl.Expression `hcl:"window,optional"`
}

func decodeLogs(body hcl.Body) (any, hcl.Diagnostics) {
	var b logsBody
	diags := gohcl.DecodeBody(body, nil, &b)
	if diags.HasErrors() {
		return nil, diags
	}
	l := &logs{window: defaultWindow, taskRange: b.Task.Range()}
	diags = append(diags, decode(b.Task, &l.task)...)
	l.forbid = patterns(b.Forbid, &diags)
	l.require = patterns(b.Require, &diags)
	window := ""
	diags = append(diags, decode(b.Window, &window)...)
	if window != "" {
		d, err := time.ParseDuration(window)
		if err != nil || d <= 0 {
			diags = append(diags, mistake(b.Window.Range(), "Bad duration", fmt.Sprintf("%q is not a duration such as \"15s\" or \"1m\".", window)))
		}
		l.window = d
	}
	if len(l.forbid)+len(l.require) == 0 && !diags.HasErrors() {
		diags = append(diags, mistake(body.MissingItemRange(), "Empty logs gate", "Say what the log must not hold (forbid) or must hold (require)."))
	}
	return l, diags
}

// decode leaves the target alone where the attribute is not given.
func decode[T any](e hcl.Expression, into *T) hcl.Diagnostics {
	if v, _ := e.Value(nil); v.IsNull() {
		return nil
	}
	return gohcl.DecodeExpression(e, nil, into)
}

func patterns(e hcl.Expression, diags *hcl.Diagnostics) []*regexp.Regexp {
	var texts []string
	*diags = append(*diags, decode(e, &texts)...)
	out := make([]*regexp.Regexp, 0, len(texts))
	for _, text := range texts {
		re, err := regexp.Compile(text)
		if err != nil {
			*diags = append(*diags, mistake(e.Range(), "Bad regular expression", fmt.Sprintf("%q: %v.", text, err)))
			continue
		}
		out = append(out, re)
	}
	return out
}

func mistake(r hcl.Range, summary, detail string) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &r}
}

// CheckJob: a task that the job lacks would make the gate pass unseen.
func (l *logs) CheckJob(j *api.Job) hcl.Diagnostics {
	if l.task == "" {
		return nil
	}
	var names []string
	for _, g := range j.TaskGroups {
		for _, t := range g.Tasks {
			if t.Name == l.task {
				return nil
			}
			names = append(names, t.Name)
		}
	}
	return hcl.Diagnostics{mistake(l.taskRange, "No such task",
		fmt.Sprintf("The job has no task %q; its tasks: %s.", l.task, strings.Join(names, ", ")))}
}

// logLine is one line, or why a stream ended.
type logLine struct {
	alloc, task, stream string
	text                string
	err                 error
}

func (l *logs) Check(ctx context.Context, n Nomad, c Change) (bool, string) {
	allocs, err := Fresh(ctx, n, c)
	if err != nil {
		return false, err.Error()
	}
	if len(allocs) == 0 {
		if why, nothing := nothingToRun(c.Job); nothing {
			return true, why
		}
		return false, "there is no allocation to read the logs of"
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan logLine)
	missing := map[string][]*regexp.Regexp{}
	for _, a := range allocs {
		missing[a.ID] = slices.Clone(l.require)
		for _, task := range l.tasks(a) {
			for _, stream := range []string{"stdout", "stderr"} {
				go tail(ctx, n, logLine{alloc: a.ID, task: task, stream: stream}, lines)
			}
		}
	}
	return l.watch(ctx, lines, missing)
}

func (l *logs) tasks(a *api.AllocationListStub) []string {
	if l.task == "" {
		return slices.Sorted(maps.Keys(a.TaskStates))
	}
	if _, ok := a.TaskStates[l.task]; ok {
		return []string{l.task}
	}
	return nil
}

func (l *logs) watch(ctx context.Context, lines <-chan logLine, missing map[string][]*regexp.Regexp) (bool, string) {
	end := time.NewTimer(l.window)
	defer end.Stop()
	seen := ""
	for {
		select {
		case <-ctx.Done():
			return false, "interrupted before the log window ended"
		case <-end.C:
			return l.atEnd(missing, seen)
		case line := <-lines:
			if line.err != nil {
				return false, fmt.Sprintf("reading %s of task %s in allocation %s: %v", line.stream, line.task, short(line.alloc), line.err)
			}
			if re := match(l.forbid, line.text); re != nil {
				return false, fmt.Sprintf("forbidden %q in %s of task %s, allocation %s: %s", re, line.stream, line.task, short(line.alloc), clip(line.text))
			}
			if re := match(missing[line.alloc], line.text); re != nil {
				seen = fmt.Sprintf("allocation %s said: %s", short(line.alloc), clip(line.text))
				missing[line.alloc] = slices.DeleteFunc(missing[line.alloc], func(m *regexp.Regexp) bool { return m.MatchString(line.text) })
			}
			if len(l.forbid) == 0 && nothingMissing(missing) {
				return true, seen
			}
		}
	}
}

func (l *logs) atEnd(missing map[string][]*regexp.Regexp, seen string) (bool, string) {
	for _, alloc := range slices.Sorted(maps.Keys(missing)) {
		if m := missing[alloc]; len(m) > 0 {
			return false, fmt.Sprintf("%q was not seen within %s in allocation %s", m[0], l.window, short(alloc))
		}
	}
	if seen == "" {
		seen = fmt.Sprintf("nothing forbidden within %s", l.window)
	}
	return true, seen
}

func nothingMissing(missing map[string][]*regexp.Regexp) bool {
	for _, m := range missing {
		if len(m) > 0 {
			return false
		}
	}
	return true
}

func match(patterns []*regexp.Regexp, text string) *regexp.Regexp {
	for _, re := range patterns {
		if re.MatchString(text) {
			return re
		}
	}
	return nil
}

func clip(s string) string {
	runes := []rune(strings.TrimSpace(s))
	if len(runes) > 200 {
		return string(runes[:200]) + "..."
	}
	return string(runes)
}

// tail sends every line of one stream until ctx ends. A log that is not there
// yet, or a stream that Nomad cut, is asked for again; lines already sent are
// passed over.
func tail(ctx context.Context, n Nomad, at logLine, out chan<- logLine) {
	sent := 0
	for ctx.Err() == nil {
		err := tailOnce(ctx, n, at, &sent, out)
		if err != nil && !errors.Is(err, nomad.ErrNotFound) && !errors.Is(err, nomad.ErrUnreachable) && !errors.Is(err, io.ErrUnexpectedEOF) && ctx.Err() == nil {
			at.err = err
			send(ctx, out, at)
			return
		}
		wait(ctx, 200*time.Millisecond)
	}
}

func tailOnce(ctx context.Context, n Nomad, at logLine, sent *int, out chan<- logLine) error {
	r, err := n.Logs(ctx, at.alloc, at.task, at.stream, true)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	defer r.Close()
	lines := bufio.NewReader(r)
	for i := 0; ; i++ {
		text, err := readLine(lines)
		if i >= *sent && (text != "" || err == nil) {
			at.text = text
			send(ctx, out, at)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil // a line without its end is read again, whole
		case err != nil:
			return err
		}
		*sent = max(*sent, i+1)
	}
}

// maxLine bounds what one line may hold in memory; the rest of it is a line of
// its own.
const maxLine = 64 << 10

func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if errors.Is(err, bufio.ErrBufferFull) && len(line) < maxLine {
			continue
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
		return strings.TrimRight(string(line), "\r\n"), err
	}
}

func send(ctx context.Context, out chan<- logLine, line logLine) {
	select {
	case out <- line:
	case <-ctx.Done():
	}
}
