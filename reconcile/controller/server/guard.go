package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// refusal is an answer that is none of what was asked for.
type refusal struct {
	status     int
	text, next string
	challenge  string // WWW-Authenticate
}

func (p *refusal) send(s *server, w http.ResponseWriter) {
	if p.challenge != "" {
		w.Header().Set("WWW-Authenticate", p.challenge)
	}
	s.problem(w, p.status, p.text, p.next)
}

// refused says why a request gets no answer; nil: it does. Without a token only this
// machine can reach the listener, but a page in a browser on it can too, under a name
// that it has resolve to it: such a request has that name as its host. What changes
// something always needs the token, be there one or not.
func (s *server) refused(r *http.Request, at *route) *refusal {
	const header = "send the header `Authorization: Bearer TOKEN`, with what the file of http.token_file holds"
	switch {
	case s.Trusted, at != nil && at.open:
		return nil
	case s.Token == "" && !thisMachine(r.Host):
		return &refusal{status: http.StatusMisdirectedRequest,
			text: "this is not " + r.Host + ": without http.token_file only localhost and addresses of this machine's loopback are answered to",
			next: "ask for http://127.0.0.1:PORT, or set http.token_file in reconcile.hcl and show the token"}
	case s.Token == "" && at != nil && at.path == "/v1/reconcile":
		return &refusal{status: http.StatusForbidden,
			text: "without http.token_file nothing can be asked for here that changes something",
			next: "set http.token_file in reconcile.hcl, restart the agent and show the token"}
	case s.Token == "":
		return nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch token = strings.TrimSpace(token); {
	case token == "" || !strings.EqualFold(scheme, "Bearer"):
		return &refusal{http.StatusUnauthorized, "a token must be shown", header, `Bearer realm="reconcile"`}
	case !same(token, s.Token):
		return &refusal{http.StatusUnauthorized, "this is not the token", header, `Bearer realm="reconcile", error="invalid_token"`}
	}
	return nil
}

// same takes as long for every token, whatever its length.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// thisMachine: the host of a request is one that nobody else can have resolve to us.
func thisMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
