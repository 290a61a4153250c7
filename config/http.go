package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/hashicorp/hcl/v2"
)

// HTTP is what the agent answers on. Without an address on nothing.
type HTTP struct {
	Address   string // HOST:PORT
	TokenFile Path   // empty where none is asked for
	Pprof     bool
}

func httpFields(c *Config) fields {
	return fields{
		"address":    hostPort(&c.HTTP.Address),
		"token_file": path(c.dir(), &c.HTTP.TokenFile),
		"pprof":      boolean(&c.HTTP.Pprof),
	}
}

// checkHTTP refuses what would show jobs and their state to a network without a
// token. It is a mistake of the file and no warning: nobody reads the warnings of a
// service.
func checkHTTP(c *Config, block *hcl.Block) hcl.Diagnostics {
	h := c.HTTP
	if h.Address == "" {
		return mistake(block.DefRange, "HTTP without an address", "Say where the agent is to answer: `address = \"127.0.0.1:9464\"`; or leave the block out.")
	}
	host, port, _ := net.SplitHostPort(h.Address)
	if !loopback(host) && h.TokenFile == (Path{}) {
		return mistake(attributeRange(block, "address"), "HTTP for others without a token", fmt.Sprintf(
			"Other machines can reach %q, so who asks must show a token: add `token_file = \"http.token\"`, a file that holds it. Or answer this machine alone: `address = \"127.0.0.1:%s\"`.", h.Address, port))
	}
	return nil
}

// loopback reports whether nobody but this machine reaches the host. Of names only
// localhost is known; an empty host is every address.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func hostPort(into *string) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		var s string
		if diags := text(&s)(attr); diags.HasErrors() {
			return diags
		}
		_, port, err := net.SplitHostPort(s)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return wrong(attr, fmt.Sprintf(`%q is not HOST:PORT; write it as "127.0.0.1:9464" or "[::1]:9464"%s`, s, insteadOfURL(s)))
		}
		*into = s
		return nil
	}
}

// insteadOfURL guesses: people copy addresses from their browser.
func insteadOfURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" || u.Port() == "" {
		return ""
	}
	return fmt.Sprintf(". Did you mean %q?", u.Host)
}
