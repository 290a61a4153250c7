package gates

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// tcpGate connects until somebody accepts.
type tcpGate struct {
	ports
	patience
	address string // empty: at the ports
}

func decodeTCP(_ string, body hcl.Body) (any, hcl.Diagnostics) {
	a := attributesOf(body, keys["tcp"])
	g := &tcpGate{ports: a.ports(), patience: a.patience(), address: a.text("address", "")}
	if a.has("address") == a.has("port") {
		a.fail("address", "Where to connect", `Give either an address such as "localhost:5432", or the port (its label) of the job's allocations.`)
	}
	if g.address != "" && !isHostPort(g.address) {
		a.fail("address", "Not an address", "%q must be a host and a port, such as \"localhost:5432\" or \"[::1]:5432\".", g.address)
	}
	return g, a.diags
}

func isHostPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	n, bad := strconv.Atoi(port)
	return err == nil && bad == nil && host != "" && !strings.Contains(host, "/") && n > 0 && n < 1<<16
}

// String says for a plan what the gate asks.
func (g *tcpGate) String() string {
	where := g.address
	if where == "" {
		where = g.ports.String()
	}
	return fmt.Sprintf("connects to %s, within %s", where, g.within)
}

// Check connects until somebody accepts.
func (g *tcpGate) Check(ctx context.Context, n Nomad, c Change) (bool, string) {
	return g.until(ctx, func(ctx context.Context) (bool, string) {
		if g.address != "" {
			return g.connect(ctx, g.address)
		}
		return g.each(ctx, n, c, g.connect)
	})
}

func (g *tcpGate) connect(ctx context.Context, address string) (bool, string) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		_ = conn.Close() // nothing was written to it
		return true, address + " accepts"
	}
	if timeout, ok := errors.AsType[net.Error](err); ctx.Err() != nil || ok && timeout.Timeout() {
		return false, fmt.Sprintf("%s: no answer within %s", address, min(g.timeout, g.within))
	}
	return false, err.Error()
}
