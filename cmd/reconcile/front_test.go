package main

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"

	"nomad-reconcile/config"
	"nomad-reconcile/reconcile/controller"
)

// Each load reads the token anew, and tries again to listen where that did not work.
func TestTokenIsReadAnew(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	token := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// An address that no other test listens at: the port is free for a moment.
	free, err := net.Listen("tcp", "127.0.0.77:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &config.Config{HTTP: config.HTTP{Address: free.Addr().String(), TokenFile: config.Path{Shown: "token", Abs: file}}}
	free.Close()
	f := &answering{agent: &controller.Agent{}, metrics: controller.NewMetrics("", nil, nil), log: logr.Discard()}
	t.Cleanup(f.close)
	f.reload(c) // there is no token yet
	for _, text := range []string{"one", "two"} {
		token(text)
		f.reload(c)
		for shown, want := range map[string]int{text: http.StatusOK, "zero": http.StatusUnauthorized} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.HTTP.Address+"/metrics", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+shown)
			got, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if got.Body.Close(); got.StatusCode != want {
				t.Errorf("token %s: %s", shown, got.Status)
			}
		}
	}
}
