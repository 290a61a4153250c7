package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/hcl/v2"
	"golang.org/x/term"

	"nomad-reconcile/cmd/reconcile/report"
)

// Exit codes, as cmd/reconcile/README.md lists them.
const (
	exitOK         = 0
	exitError      = 1
	exitChanges    = 2
	exitDenied     = 3
	exitRolledBack = 4
	exitFailed     = 5
	exitHeld       = 6
)

// worst is the exit code of several verdicts.
func worst(codes ...int) int {
	for _, code := range []int{exitError, exitFailed, exitRolledBack, exitDenied, exitHeld, exitChanges} {
		for _, c := range codes {
			if c == code {
				return code
			}
		}
	}
	return exitOK
}

// shell is the world around a verb: streams, environment, terminal.
type shell struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
	interactive    bool // somebody can answer a question
	live           bool // progress may rewrite its line
	out, err       report.Style
	now            func() time.Time
}

func newShell() *shell {
	sh := &shell{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), now: time.Now}
	plain := sh.getenv("NO_COLOR") != "" || sh.getenv("TERM") == "dumb"
	sh.out = styleOf(os.Stdout, plain)
	sh.err = styleOf(os.Stderr, plain)
	sh.live = term.IsTerminal(int(os.Stderr.Fd())) && sh.getenv("TERM") != "dumb"
	sh.interactive = term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
	return sh
}

func styleOf(f *os.File, plain bool) report.Style {
	if !term.IsTerminal(int(f.Fd())) {
		return report.Style{}
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 80
	}
	return report.Style{Color: !plain, Width: width}
}

// applying is the style of a verb that does what it shows, if it does.
func applying(s report.Style, does bool) report.Style {
	s.Applying = does
	return s
}

func (sh *shell) getenv(name string) string {
	for i := len(sh.environ) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(sh.environ[i], "="); ok && k == name {
			return v
		}
	}
	return ""
}

func (sh *shell) print(format string, args ...any)    { fmt.Fprintf(sh.stdout, format, args...) }
func (sh *shell) printErr(format string, args ...any) { fmt.Fprintf(sh.stderr, format, args...) }

// fail prints a machine fault and returns the exit code for it.
func (sh *shell) fail(err error) int {
	report.Error(sh.stderr, err, sh.err)
	return exitError
}

// mistakes prints diagnostics and returns the exit code of errors.
func (sh *shell) mistakes(diags hcl.Diagnostics, files map[string]*hcl.File) int {
	report.Diagnostics(sh.stderr, diags, files, sh.err)
	if diags.HasErrors() {
		return exitError
	}
	return exitOK
}

// interruptible ends with the first ^C or SIGTERM; the second one kills.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// giveUp ends the process a moment after an interrupt, for verbs that change nothing:
// one expression of a job file may take very long. The function that is returned ends
// the watch.
func (sh *shell) giveUp(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		time.Sleep(time.Second)
		sh.printErr("Interrupted; nothing was changed.\n")
		os.Exit(exitError)
	})
}
