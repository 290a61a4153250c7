package server_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"nomad-reconcile/reconcile/controller/server"
)

// serve answers at l until the test ends, or end is called.
func serve(t *testing.T, l net.Listener, h http.Handler) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l, h, time.Second, logr.Discard()) }()
	end = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("it does not end")
		}
	})
	t.Cleanup(end)
	return end
}

func text(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	got, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestSocket(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]string{
		"short": "s", "long": strings.Repeat("很长的文件夹/", 12) + "x", "just too long": strings.Repeat("x", 90),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), folder)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, server.SocketName)
			for range 2 { // the second finds what the first, killed, has left
				l, err := server.ListenUnix(path)
				if err != nil {
					t.Fatal(err)
				}
				info, err := os.Stat(path)
				if err != nil || info.Mode() != fs.ModeSocket|0o600 {
					t.Fatalf("%v, %v", info.Mode(), err)
				}
				leave(t, l)
			}
			l, err := server.ListenUnix(path)
			if err != nil {
				t.Fatal(err)
			}
			end := serve(t, l, server.New(newFake(), encoders(), server.Options{Trusted: true}))
			client := server.Client(path)
			if got := text(t, client, "http://agent/v1/status"); got != "status of 3\n" {
				t.Error(got)
			}
			client.CloseIdleConnections()
			end()
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
			if _, err := client.Get("http://agent/"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v", err)
			}
		})
	}
}

// leave ends a listener as kill does: its socket stays, and nobody answers there.
func leave(t *testing.T, l net.Listener) {
	t.Helper()
	raw, err := l.(interface {
		SyscallConn() (syscall.RawConn, error)
	}).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }); err != nil {
		t.Fatal(err)
	}
}

// A stale socket is told from one at which somebody is.
func TestStaleSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), server.SocketName)
	l, err := server.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	leave(t, l)
	if _, err := server.Client(path).Get("http://agent/"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v", err)
	}
}

func TestSocketWithoutAFolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "no", server.SocketName)
	if _, err := server.ListenUnix(path); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "listening at "+path+": ") {
		t.Errorf("%v", err)
	}
}

// What was asked before the end is answered; a HEAD has no body.
func TestServe(t *testing.T) {
	t.Parallel()
	l, err := server.ListenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.ListenTCP(l.Addr().String()); err == nil || !strings.Contains(err.Error(), "somebody else does already") {
		t.Errorf("%v", err)
	}
	h := server.New(newFake(), encoders(), server.Options{})
	begun, goOn := make(chan bool), make(chan bool)
	end := serve(t, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			close(begun)
			<-goOn
		}
		h.ServeHTTP(w, r)
	}))
	url := "http://" + l.Addr().String()
	head, err := http.Head(url + "/v1/status")
	if err != nil || head.StatusCode != 200 || head.ContentLength != 12 {
		t.Errorf("%+v, %v", head, err)
	}
	got := make(chan string)
	go func() { got <- text(t, http.DefaultClient, url+"/v1/status") }()
	<-begun
	go func() {
		time.Sleep(10 * time.Millisecond) // the end comes first, as a rule
		close(goOn)
	}()
	end()
	if text := <-got; text != "status of 3\n" {
		t.Error(text)
	}
}
