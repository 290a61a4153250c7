package config_test

import (
	"fmt"
	"testing"

	"nomad-reconcile/config"
)

// Who is not alone on the address must ask for a token.
func TestHTTPAsksForAToken(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{ // whether this machine alone reaches it
		"127.0.0.1:9464":          true,
		"127.8.9.10:9464":         true,
		"localhost:0":             true,
		"[::1]:9464":              true,
		"[::ffff:127.0.0.1]:9464": true,
		":9464":                   false,
		"0.0.0.0:9464":            false,
		"[::]:9464":               false,
		"10.0.0.7:9464":           false,
		"[fe80::1%eth0]:9464":     false,
		"localhost.evil.com:9464": false,
		"127.0.0.1.nip.io:9464":   false,
	}
	for address, alone := range tests {
		block := fmt.Sprintf("http {\n  address = %q\n", address)
		c, diags := config.Load("reconcile.hcl", []byte(block+"}\n"))
		if diags.HasErrors() == alone {
			t.Errorf("%s without a token: %v", address, diags)
		}
		if alone && c.HTTP.Address != address {
			t.Errorf("%s is %+v", address, c.HTTP)
		}
		if _, diags := config.Load("reconcile.hcl", []byte(block+"  token_file = \"t\"\n}\n")); diags.HasErrors() {
			t.Errorf("%s with a token: %v", address, diags)
		}
	}
}
