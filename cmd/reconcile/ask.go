package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile/controller/server"
)

// agentAt asks the agent that holds a state folder, over its socket.
type agentAt struct {
	socket string
	client *http.Client
	tag    string // of the status that it gave last
}

func agentOf(p *project) *agentAt {
	socket := filepath.Join(p.config.State.Dir.Abs, server.SocketName)
	return &agentAt{socket: socket, client: server.Client(socket)}
}

// errNoAgent: nobody is at the socket, or there is none.
var errNoAgent = errors.New("no agent is running")

// answerTime is how long an agent may take that is asked for what it knows.
const answerTime = 10 * time.Second

// status is what the agent knows, and whether that is news since it was last asked.
func (a *agentAt) status(ctx context.Context) (d report.Status, news bool, err error) {
	news, err = a.get(ctx, "/v1/status", true, &d)
	return d, news, err
}

func (a *agentAt) job(ctx context.Context, j report.StatusJob) (d report.JobStatus, err error) {
	_, err = a.get(ctx, "/v1/jobs/"+url.PathEscape(j.Namespace)+"/"+url.PathEscape(j.ID), false, &d)
	return d, err
}

// get reads a document; news is false where it is the one that the tag names.
func (a *agentAt) get(ctx context.Context, path string, tagged bool, into any) (news bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent"+path, nil)
	if err != nil {
		return false, err
	}
	if tagged && a.tag != "" {
		r.Header.Set("If-None-Match", a.tag)
	}
	got, err := a.client.Do(r)
	if err != nil {
		return false, a.explained(ctx, err)
	}
	defer got.Body.Close()
	switch d := json.NewDecoder(got.Body); got.StatusCode {
	case http.StatusNotModified:
		return false, nil
	case http.StatusOK:
		if err := d.Decode(into); err != nil {
			return false, fmt.Errorf("the agent's answer cannot be read: %w; an agent of another version perhaps: restart it", err)
		}
	default:
		var problem report.Problem
		if err := d.Decode(&problem); err != nil || problem.Error == "" {
			problem.Error, problem.Next = got.Status, "look at its log"
		}
		return false, fmt.Errorf("the agent says: %s; %s", problem.Error, problem.Next)
	}
	if tagged {
		a.tag = got.Header.Get("ETag")
	}
	return true, nil
}

func (a *agentAt) explained(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return errNoAgent
	case errors.Is(err, fs.ErrPermission):
		who := ownerOf(a.socket)
		return fmt.Errorf("%s is for %s alone: ask as they do, with `sudo -u %s reconcile status`, or over http.address of reconcile.hcl", a.socket, who, who)
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("the agent at %s does not answer within %s; look at its log, and restart it", a.socket, answerTime)
	}
	return fmt.Errorf("asking the agent at %s: %w", a.socket, err)
}

// ownerOf a file or, where that cannot be seen, of the first folder above it that can.
func ownerOf(path string) string {
	for {
		info, err := os.Stat(path)
		if err == nil {
			stat, ok := info.Sys().(*syscall.Stat_t)
			if !ok {
				return "its owner"
			}
			id := strconv.FormatUint(uint64(stat.Uid), 10)
			if u, err := user.LookupId(id); err == nil {
				return u.Username
			}
			return "#" + id // as sudo -u takes it
		}
		if path == filepath.Dir(path) {
			return "its owner"
		}
		path = filepath.Dir(path)
	}
}
