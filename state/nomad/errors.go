package nomad

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// What an error of this package can be, for errors.Is.
var (
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("changed since it was read")
	ErrForbidden   = errors.New("permission denied")
	ErrUnreachable = errors.New("no answer from Nomad")
)

// Error is a call to Nomad that failed. A cancelled context is no Error: it
// stays context.Canceled.
type Error struct {
	Op      string // what was attempted: "reading job"
	Subject string // on what: a job, an allocation, a namespace
	Hint    string // what the person types or does next, may be empty
	Err     error  // the reason; matches one of the sentinels where one fits
}

// Error says what was attempted, on what, and why it failed. The hint is not
// part of it.
func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Subject, e.Err) }

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

// call is what a request is about, for its namespace and its errors.
type call struct {
	name        string // for Observe, one of Calls
	op, subject string
	namespace   string // empty where it is about none
	needs       string // the ACL capability without which Nomad refuses it
	read        bool   // it changes nothing: a server that fails at it refuses nothing
}

func jobCall(name, op string, id job.ID, needs string) call {
	ns := id.Namespace
	if ns == "" {
		ns = job.DefaultNamespace
	}
	return call{name: name, op: op, subject: id.String(), namespace: ns, needs: needs}
}

// fail makes an error of the API client one of ours.
func (c *Client) fail(ctx context.Context, what call, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	out := &Error{Op: what.op, Subject: what.subject, Err: err}
	if refusal, ok := errors.AsType[api.UnexpectedResponseError](err); ok && refusal.HasStatusCode() {
		c.refused(out, what, refusal.StatusCode(), strings.TrimSpace(refusal.Body()))
	} else if isTransport(err) {
		out.Err = fmt.Errorf("%w at %s: %w", ErrUnreachable, c.address, shorter(err))
		out.Hint = unreachableHint(err)
	}
	return out
}

// refused explains an answer that is not 200.
func (c *Client) refused(out *Error, what call, status int, text string) {
	switch {
	case status == http.StatusNotFound:
		out.Err = fmt.Errorf("%w (%s)", ErrNotFound, text)
		out.Hint = "check the name, the namespace and the region"
	case status == http.StatusForbidden && strings.Contains(text, "ACL token"):
		out.Err = fmt.Errorf("%w (%s)", ErrForbidden, text)
		out.Hint = "set NOMAD_TOKEN to a token that this cluster knows and that has not expired"
	case status == http.StatusForbidden && what.namespace == "":
		out.Err = fmt.Errorf("%w (%s): the token's policy needs %s", ErrForbidden, text, what.needs)
		out.Hint = fmt.Sprintf("set NOMAD_TOKEN to a token whose policy has %s", what.needs)
	case status == http.StatusForbidden:
		out.Err = fmt.Errorf("%w (%s): the token needs the capability %q in namespace %q", ErrForbidden, text, what.needs, what.namespace)
		out.Hint = fmt.Sprintf("set NOMAD_TOKEN to a token whose policy has capabilities = [%q] for that namespace", what.needs)
	case isConflict(text):
		out.Err = fmt.Errorf("%w (%s)", ErrConflict, text)
		out.Hint = "look at what changed with a new plan, then apply again"
	case isUnavailable(status, text), what.read && status >= http.StatusInternalServerError:
		out.Err = fmt.Errorf("%w at %s: %d %s", ErrUnreachable, c.address, status, text)
		out.Hint = "Nomad or a proxy before it is not ready: try again, and look at `nomad server members`"
	case strings.Contains(text, "HTTP request to an HTTPS server"):
		out.Err = fmt.Errorf("%w at %s: %s", ErrUnreachable, c.address, text)
		out.Hint = "Nomad speaks TLS there: use https:// in NOMAD_ADDR or in the nomad block"
	default:
		out.Err = fmt.Errorf("refused with status %d: %s", status, text)
	}
}

// isConflict is the one place that knows how Nomad words a check-and-set that
// failed: an HTTP 500 that differs from others by its text alone.
func isConflict(text string) bool { return strings.Contains(text, api.RegisterEnforceIndexErrPrefix) }

// isUnavailable tells a server that cannot answer now from one that refuses.
func isUnavailable(status int, text string) bool {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		return true
	}
	return slices.ContainsFunc(unavailable, func(words string) bool { return strings.Contains(text, words) })
}

// unavailable are the words of a server that has lost its leader, its peers or the
// answer of either: whether a write took effect is not known then.
var unavailable = []string{
	"No cluster leader", "No path to region", "not ready to serve", "leadership lost", "node is not the leader",
	"timed out enqueuing operation", "rpc error: EOF", "connection reset", "connection refused", "i/o timeout", "session shutdown",
}

// isTransport tells a failed connection from an answer that makes no sense.
func isTransport(err error) bool {
	_, isURL := errors.AsType[*url.Error](err)
	_, isNet := errors.AsType[net.Error](err)
	isCut := errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) // in the middle of an answer
	return isURL || isNet || isCut || errors.Is(err, context.DeadlineExceeded)
}

// shorter leaves out the URL of the request, which names internals.
func shorter(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("nothing within %s", answerTime)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

func unreachableHint(err error) string {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "check NOMAD_CACERT and NOMAD_TLS_SERVER_NAME, or the nomad block"
	}
	if strings.Contains(err.Error(), "HTTP response to HTTPS client") {
		return "Nomad speaks plain HTTP there: use http:// in NOMAD_ADDR or in the nomad block"
	}
	return "check that Nomad runs there, and NOMAD_ADDR or the address in the nomad block"
}
