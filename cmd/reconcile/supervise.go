package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/go-logr/logr"
)

// supervisor tells systemd how a service of Type=notify is doing. Started by
// anybody else it says nothing.
type supervisor struct {
	on    bool
	every time.Duration // between two signs of life; 0: nobody waits for them
	log   logr.Logger
}

// newSupervisor asks environ whether there is anybody to tell. The library itself
// reads the environment of the process.
func newSupervisor(environ []string, log logr.Logger) supervisor {
	s := supervisor{on: (&shell{environ: environ}).getenv("NOTIFY_SOCKET") != "", log: log}
	if !s.on {
		return s
	}
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Error(err, "systemd's watchdog gets no signs of life")
	}
	s.every = limit / 2
	return s
}

// ready also ends what reloading began.
func (s supervisor) ready() { s.tell(daemon.SdNotifyReady) }

func (s supervisor) reloading() {
	s.tell(daemon.SdNotifyReloading, daemon.SdNotifyMonotonicUsec())
}

// stopping says how long the end may take, so that the unit needs no timeout that
// has to be kept in step with the configuration.
func (s supervisor) stopping(wait time.Duration) {
	s.tell(daemon.SdNotifyStopping, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (wait+stopMargin).Microseconds()))
}

// stopMargin is for what follows on the wait: records to be closed.
const stopMargin = 10 * time.Second

// status is the line that `systemctl status` shows.
func (s supervisor) status(text string) { s.tell("STATUS=" + strings.Join(strings.Fields(text), " ")) }

func (s supervisor) tell(states ...string) {
	if !s.on {
		return
	}
	said := strings.TrimSpace(strings.Join(states, "\n"))
	if _, err := daemon.SdNotify(false, said); err != nil {
		s.log.Error(err, "systemd cannot be told", "state", states[0])
	}
}

// watch gives signs of life until ctx ends, as long as alive says so. What hangs
// inside alive gives none either, and systemd starts the service anew.
func (s supervisor) watch(ctx context.Context, alive func() bool) {
	if s.every <= 0 {
		return
	}
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	was := true
	for ctx.Err() == nil {
		is := alive()
		switch {
		case is:
			s.tell(daemon.SdNotifyWatchdog)
		case was: // once: systemd's own line comes next, and says nothing of the reason
			s.log.Error(nil, "the agent does not move any more; systemd's watchdog gets no sign of life")
		}
		was = is
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
