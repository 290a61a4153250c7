package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
)

// ListenTCP listens at HOST:PORT.
func ListenTCP(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listening at http.address %s: somebody else does already; `ss -ltnp` says who, or choose another port", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listening at http.address: %w", err)
	}
	return l, nil
}

// SocketName is the socket's, in the state folder.
const SocketName = "agent.sock"

// longest is how long the name of a socket may be: sun_path, with a zero at its end.
const longest = 107

// short calls use with a name for the file that the system takes for a socket's: its
// path or, where that is too long, one by way of its open folder.
func short(path string, use func(name string) error) error {
	if len(path) <= longest || runtime.GOOS != "linux" {
		return use(path)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return use(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}

// ListenUnix listens at a socket that the owner of this process alone can reach, in
// place of one that a killed process has left: the caller has made sure that nobody
// else is at it. The socket gets its mode inside a folder that nobody else can enter,
// and its name when it has its mode.
func ListenUnix(path string) (net.Listener, error) {
	fail := func(err error) (net.Listener, error) { return nil, fmt.Errorf("listening at %s: %w", path, err) }
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), hidden+"*"))
	for _, dir := range left {
		_ = os.RemoveAll(dir) // of a process that was killed right here
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), hidden)
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "s")
	var l *net.UnixListener
	err = short(made, func(name string) error {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		return err
	})
	if err != nil {
		return fail(err)
	}
	l.SetUnlinkOnClose(false) // it would look for it under the name that it had
	if err := errors.Join(os.Chmod(made, 0o600), os.Rename(made, path)); err != nil {
		l.Close()
		return fail(err)
	}
	return &unixListener{l, path}, nil
}

const hidden = ".sock-"

// unixListener takes its socket away with it.
type unixListener struct {
	*net.UnixListener
	path string
}

// Close removes the socket first: who finds it finds somebody at it.
func (l *unixListener) Close() error {
	err := os.Remove(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.UnixListener.Close())
}

// Client asks the agent at a socket; the host of its URLs does not matter.
func Client(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
			err = short(path, func(name string) error {
				conn, err = new(net.Dialer).DialContext(ctx, "unix", name)
				return err
			})
			return conn, err
		},
	}}
}

// Serve answers at l until ctx ends, and then what has been asked before, for as long
// as grace. It closes l.
func Serve(ctx context.Context, l net.Listener, h http.Handler, grace time.Duration, to logr.Logger) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 32 << 10, ErrorLog: log.New(lines{to}, "", 0),
	}
	if l.Addr().Network() != "unix" { // at our own socket, answers may take as long as runs do
		srv.WriteTimeout = 90 * time.Second
	}
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if err := srv.Shutdown(limited); err != nil {
			_ = srv.Close()
		}
		ended <- nil
	})
	err := srv.Serve(l)
	if stop() { // ctx has not ended
		return fmt.Errorf("answering at %s: %w", l.Addr(), err)
	}
	return <-ended
}

// lines are what http.Server would print.
type lines struct{ log logr.Logger }

func (l lines) Write(p []byte) (int, error) {
	l.log.V(1).Info("http", "said", strings.TrimSpace(string(p)))
	return len(p), nil
}
