package gates

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"nomad-reconcile/state/nomad/nomadtest"
)

func TestDecodeTCPMistakes(t *testing.T) {
	t.Parallel()
	where := `Where to connect: Give either an address such as "localhost:5432", or the port (its label) of the job's allocations.`
	checkMistakes(t, "tcp", map[string]string{
		``:                                   "1:1 " + where,
		"address = \"h:1\"\nport = \"http\"": "1:11 " + where,
		`address = "localhost"`:              `1:11 Not an address: "localhost" must be a host and a port, such as "localhost:5432" or "[::1]:5432".`,
		`address = "tcp://localhost:80"`:     `1:11 Not an address: "tcp://localhost:80" must be a host and a port, such as "localhost:5432" or "[::1]:5432".`,
		`address = "h:99999"`:                `1:11 Not an address: "h:99999" must be a host and a port, such as "localhost:5432" or "[::1]:5432".`,
		"address = \"h:1\"\npass = \"any\"":  `2:8 Meaningless here: pass goes with port, which is not given.`,
		"address = \"h:1\"\npost = 1":        `2:1 Unsupported argument: An argument named "post" is not expected here. Did you mean "port"?`,
	})
}

func TestTCPGate(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	listens := s.Listener.Addr().String()
	change := c.run(sleepers("web", portOf(t, s), 1))
	allocs, err := Fresh(t.Context(), c, change)
	if err != nil {
		t.Fatal(err)
	}
	known := []string{listens, "OPEN", short(allocs[0].ID), "ALLOC", short(allocs[1].ID), "ALLOC"}
	for src, want := range map[string]string{
		`address = "` + listens + `"`:     "passed: OPEN accepts",
		`address = "127.0.0.1:1"`:         "failed: not within 1s: dial tcp 127.0.0.1:1: connect: connection refused",
		"port = \"http\"":                 "failed: not within 1s: 1 of 2 allocations pass; allocation ALLOC at 127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused",
		"port = \"http\"\npass = \"any\"": "passed: 1 of 2 allocations pass; allocation ALLOC at OPEN: OPEN accepts",
		"port = \"http\"\ngroup = \"g0\"": "passed: allocation ALLOC at OPEN: OPEN accepts",
	} {
		t.Run(src, func(t *testing.T) {
			t.Parallel()
			// None of the attempts falls on the end, which would cut it off.
			g := gate(t, "tcp", "n", "within = \"1s\"\ninterval = \"300ms\"\n"+src)
			if got := verdictOf(Run(t.Context(), c, change, g), known...); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

// TestTCPGateWaits until somebody listens.
func TestTCPGateWaits(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	asked := make(chan Result, 1)
	go func() {
		asked <- Run(t.Context(), &fake{}, Change{}, gate(t, "tcp", "n", "interval = \"1ms\"\naddress = \""+address+`"`))
	}()
	time.Sleep(20 * time.Millisecond) // some attempts fail
	if l, err = net.Listen("tcp", address); err != nil {
		t.Skip("somebody else took the port: ", err)
	}
	defer l.Close()
	if r := <-asked; !r.Passed {
		t.Error(r.Detail)
	}
}

func TestTCPGateEnds(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	change := c.run(sleepers("web", 1))
	c.server.Fault(nomadtest.Fault{Status: 503, Text: "restarting"})
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(&stopError{"gate http a failed"}) })
	start := time.Now()
	r := Run(ctx, c, change, gate(t, "tcp", "n", "port = \"http\"\ninterval = \"1h\"\nwithin = \"2h\""))
	if r.Passed || !strings.HasPrefix(r.Detail, "gate http a failed; until then: reading the allocations of web: no answer from Nomad") || time.Since(start) > 5*time.Second {
		t.Errorf("after %s: %s", time.Since(start), r.Detail)
	}
}

func TestTCPCheckJob(t *testing.T) {
	t.Parallel()
	g := gate(t, "tcp", "n", `port = "grpc"`)
	if got := checkJob(g, sleepers("web", 80)); got != `gate.hcl:1,8-14: No such port; The job has no port "grpc"; its ports: http.` {
		t.Error(got)
	}
	if got := g.Spec.(*tcpGate).String(); got != "connects to port grpc of every allocation, within 30s" {
		t.Error(got)
	}
}
