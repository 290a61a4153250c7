package gates

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/job"
)

// bodyCap is the most that is read of an answer.
const bodyCap = 1 << 20

// httpGate asks a URL, or a path at every allocation's address, until the answer
// is as it should be.
type httpGate struct {
	ports
	patience
	url          string // empty: scheme and path at the ports
	scheme, path string
	method, body string
	headers      map[string]string
	assert       *policies.Assertion // nil: a status of 200 to 299
	follow       bool
	tls          tlsFiles
}

// tlsFiles are read when the gate asks: certificates are renewed.
type tlsFiles struct {
	ca, cert, key, serverName string
	insecure                  bool
}

var (
	responseSees = map[string][]string{"response": {"body", "headers", "json", "status"}}
	isToken      = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$").MatchString
)

func decodeHTTP(_ string, body hcl.Body) (any, hcl.Diagnostics) {
	a := attributesOf(body, keys["http"])
	g := &httpGate{
		ports: a.ports(), patience: a.patience(), url: a.text("url", ""), scheme: a.oneOf("scheme", "http", "https"), path: a.text("path", "/"),
		method: a.text("method", http.MethodGet), body: a.text("body", ""), headers: a.textMap("headers"),
		assert: a.assertion("assert", responseSees), follow: value(a.flag("follow_redirects")),
		tls: tlsFiles{a.file("ca_file"), a.file("cert_file"), a.file("key_file"), a.text("server_name", ""), value(a.flag("insecure_skip_verify"))},
	}
	g.check(a)
	return g, a.diags
}

// check reports what no request can be made of.
func (g *httpGate) check(a *attributes) {
	a.together("port", "scheme", "path")
	a.together("cert_file", "key_file")
	a.together("key_file", "cert_file")
	if a.has("url") == a.has("port") {
		a.fail("url", "Where to ask", `Give either a url such as "http://localhost:3000/health", or the port (its label) of the job's allocations.`)
	}
	if u, err := url.Parse(g.url); g.url != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		a.fail("url", "Not a URL", "%q must begin with http:// or https:// and name a host.", job.RedactText(g.url))
	}
	if g.path != "" && !strings.HasPrefix(g.path, "/") {
		a.fail("path", "Not a path", "%q must begin with a slash.", g.path)
	}
	if _, err := url.Parse(g.path); err != nil {
		a.fail("path", "Not a path", "%q cannot stand in a URL.", g.path)
	}
	if !isToken(g.method) {
		a.fail("method", "Not a method", "%q is no HTTP method such as GET or POST.", g.method)
	}
	for name, v := range g.headers {
		if !isToken(name) || strings.ContainsAny(v, "\r\n\x00") {
			a.fail("headers", "Not a header", "%q cannot be the name of a header, or its value has line breaks.", name)
		}
	}
}

// String says for a plan what the gate asks.
func (g *httpGate) String() string {
	where := g.url
	if where == "" {
		where = fmt.Sprintf("%s at %s", g.path, g.ports)
	}
	want := "status 200-299"
	if g.assert != nil {
		want = "its assert holds"
	}
	return job.RedactText(fmt.Sprintf("%s %s until %s, within %s", g.method, where, want, g.within))
}

// Check asks until the answer is as it should be.
func (g *httpGate) Check(ctx context.Context, n Nomad, c Change) (bool, string) {
	client, err := g.client()
	if err != nil {
		return false, err.Error()
	}
	return g.until(ctx, func(ctx context.Context) (bool, string) {
		if g.url != "" {
			return g.ask(ctx, client, g.url)
		}
		return g.each(ctx, n, c, func(ctx context.Context, address string) (bool, string) {
			return g.ask(ctx, client, g.scheme+"://"+address+g.path)
		})
	})
}

// client makes a new connection for each request: an old one may lead to a process
// that is going away. Nothing of the environment leads it elsewhere.
func (g *httpGate) client() (*http.Client, error) {
	config, err := g.tls.config()
	if err != nil {
		return nil, err
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	if !g.follow {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return c, nil
}

func (f tlsFiles) config() (*tls.Config, error) {
	out := &tls.Config{ServerName: f.serverName, InsecureSkipVerify: f.insecure}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, fmt.Errorf("reading ca_file: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading ca_file: %s holds no certificate", f.ca)
		}
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, fmt.Errorf("reading cert_file and key_file: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

// ask makes one request and judges the answer.
func (g *httpGate) ask(ctx context.Context, client *http.Client, address string) (bool, string) {
	req, err := http.NewRequestWithContext(ctx, g.method, address, strings.NewReader(g.body))
	if err != nil {
		return false, err.Error()
	}
	for name, v := range g.headers {
		req.Header.Set(name, v)
		if http.CanonicalHeaderKey(name) == "Host" {
			req.Host = v
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return false, g.unanswered(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyCap))
	if err != nil {
		return false, fmt.Sprintf("status %d, and its body could not be read: %s", resp.StatusCode, g.unanswered(ctx, err))
	}
	return g.judge(resp, string(body))
}

// unanswered is a fault in a few words, without the URL.
func (g *httpGate) unanswered(ctx context.Context, err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if timeout, ok := errors.AsType[net.Error](err); ctx.Err() != nil || ok && timeout.Timeout() {
		return fmt.Sprintf("no answer within %s", min(g.timeout, g.within))
	}
	return err.Error()
}

func (g *httpGate) judge(resp *http.Response, body string) (bool, string) {
	saw := fmt.Sprintf("status %d", resp.StatusCode)
	fine := resp.StatusCode >= 200 && resp.StatusCode < 300
	ok, saw := asserted(g.assert, fine, saw, "response", func() cty.Value { return responseValue(resp, body) })
	if ok {
		return true, saw
	}
	if to := resp.Header.Get("Location"); to != "" && !g.follow {
		saw += ", a redirect to " + clip(to)
	}
	return false, saw + "; body: " + cmp.Or(excerpt(body), "empty")
}

func responseValue(resp *http.Response, body string) cty.Value {
	headers := map[string]cty.Value{}
	for name, values := range resp.Header {
		headers[name] = cty.StringVal(strings.Join(values, ", "))
	}
	out := map[string]cty.Value{
		"status":  cty.NumberIntVal(int64(resp.StatusCode)),
		"headers": cty.MapValEmpty(cty.String),
		"body":    cty.StringVal(strings.ToValidUTF8(body, "\uFFFD")),
		"json":    jsonValue(body),
	}
	if len(headers) > 0 {
		out["headers"] = cty.MapVal(headers)
	}
	return cty.ObjectVal(out)
}

// jsonValue is null where the text is not JSON.
func jsonValue(text string) cty.Value {
	null := cty.NullVal(cty.DynamicPseudoType)
	t, err := ctyjson.ImpliedType([]byte(text))
	if err != nil {
		return null
	}
	v, err := ctyjson.Unmarshal([]byte(text), t)
	if err != nil {
		return null
	}
	return v
}
