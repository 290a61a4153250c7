package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"nomad-reconcile/config"

	"github.com/google/go-cmp/cmp"
)

// manager is systemd's end of the socket.
type manager struct{ conn *net.UnixConn }

// listen makes this process a service of a manager of the test's own, which is why
// these tests are not parallel: the environment is the process's.
func listen(t *testing.T, watchdogUsec string) manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify") // t.TempDir is too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", watchdogUsec)
	t.Setenv("WATCHDOG_PID", "")
	return manager{conn}
}

// heard is the next message. A unix datagram is there once it is sent.
func (m manager) heard(t *testing.T) string {
	t.Helper()
	buf := make([]byte, 4096)
	if err := m.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	n, err := m.conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// nothing more was said.
func (m manager) nothing(t *testing.T) {
	t.Helper()
	if err := m.conn.SetReadDeadline(time.Unix(0, 1)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	if n, err := m.conn.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("heard %q, %v", buf[:n], err)
	}
}

func testSupervisor(out *bytes.Buffer) supervisor {
	return newSupervisor(os.Environ(), newLogger(out, config.Log{Level: "info", Format: "text"}))
}

func TestSupervisorSaysHowItIsDoing(t *testing.T) {
	m := listen(t, "")
	var log bytes.Buffer
	s := testSupervisor(&log)
	tests := []struct {
		say  func()
		want string
	}{
		{s.ready, "READY=1"},
		{s.reloading, "RELOADING=1\nMONOTONIC_USEC=N"},
		{func() { s.status("41 in sync,\n 1 held") }, "STATUS=41 in sync, 1 held"},
		{func() { s.stopping(30 * time.Second) }, "STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000"},
	}
	for _, tc := range tests {
		tc.say()
		got := regexp.MustCompile(`MONOTONIC_USEC=\d+`).ReplaceAllString(m.heard(t), "MONOTONIC_USEC=N")
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if log.Len() > 0 {
		t.Error(log.String())
	}
}

// Half of the time is the pace that systemd asks for; what is not alive is silent.
func TestSupervisorWatches(t *testing.T) {
	m := listen(t, "2000")
	var log bytes.Buffer
	s := testSupervisor(&log)
	if s.every != time.Millisecond {
		t.Errorf("every %s", s.every)
	}
	ctx, cancel := context.WithCancel(t.Context())
	script := []bool{true, true, false, false, true}
	s.watch(ctx, func() bool {
		if len(script) == 0 {
			cancel()
			return false
		}
		is := script[0]
		script = script[1:]
		if len(script) == 1 { // the second of the two silences: three were alive, one is to come
			m.heard(t)
			m.heard(t)
			m.nothing(t)
		}
		return is
	})
	if got := m.heard(t); got != "WATCHDOG=1" {
		t.Errorf("heard %q", got)
	}
	m.nothing(t)
	if n := strings.Count(log.String(), "does not move any more"); n != 2 {
		t.Errorf("said %d times, want once for each silence:\n%s", n, log.String())
	}
}

func TestSupervisorIsSilentWithoutSystemd(t *testing.T) {
	m := listen(t, "2000")
	s := newSupervisor([]string{"HOME=/"}, newLogger(&bytes.Buffer{}, config.Log{}))
	s.ready()
	s.watch(t.Context(), func() bool { t.Error("asked although nobody waits"); return true })
	m.nothing(t)
}

// A watchdog for another process is not ours, and one that makes no sense is told.
func TestSupervisorWithoutWatchdog(t *testing.T) {
	listen(t, "2000")
	t.Setenv("WATCHDOG_PID", "1")
	var log bytes.Buffer
	if s := testSupervisor(&log); s.every != 0 || log.Len() > 0 {
		t.Errorf("every %s: %s", s.every, log.String())
	}
	t.Setenv("WATCHDOG_USEC", "soon")
	if s := testSupervisor(&log); s.every != 0 || !strings.Contains(log.String(), "WATCHDOG_USEC") {
		t.Errorf("every %s: %s", s.every, log.String())
	}
}

func TestSupervisorSaysThatNobodyListens(t *testing.T) {
	m := listen(t, "")
	m.conn.Close()
	var log bytes.Buffer
	testSupervisor(&log).ready()
	if !strings.Contains(log.String(), "systemd cannot be told") {
		t.Error(log.String())
	}
}
