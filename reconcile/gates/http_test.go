package gates

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nomad-reconcile/state/nomad/nomadtest"
)

func TestDecodeHTTPMistakes(t *testing.T) {
	t.Parallel()
	checkMistakes(t, "http", map[string]string{
		``:                                        `1:1 Where to ask: Give either a url such as "http://localhost:3000/health", or the port (its label) of the job's allocations.`,
		"url = \"http://h/\"\nport = \"p\"":       `1:7 Where to ask: Give either a url such as "http://localhost:3000/health", or the port (its label) of the job's allocations.`,
		`url = "localhost:3000/health"`:           `1:7 Not a URL: "localhost:3000/health" must begin with http:// or https:// and name a host.`,
		`url = "ftp://h/"`:                        `1:7 Not a URL: "ftp://h/" must begin with http:// or https:// and name a host.`,
		`url = 5`:                                 `1:7 Not a URL: "5" must begin with http:// or https:// and name a host.`,
		`url = ["a"]`:                             `1:7 Wrong type: url must be a string, not a list.`,
		`ulr = "http://h/"`:                       "1:1 Unsupported argument: An argument named \"ulr\" is not expected here. Did you mean \"url\"?\n1:1 Where to ask: Give either a url such as \"http://localhost:3000/health\", or the port (its label) of the job's allocations.",
		"url = \"http://h/\"\ngroup = \"g\"":      `2:9 Meaningless here: group goes with port, which is not given.`,
		"port = \"p\"\npath = \"x\"":              `2:8 Not a path: "x" must begin with a slash.`,
		"port = \"p\"\npass = \"some\"":           `2:8 Unknown value: pass is one of all, any, not "some".`,
		"url = \"http://h/\"\nmethod = \"GET /\"": `2:10 Not a method: "GET /" is no HTTP method such as GET or POST.`,
		"url = \"http://h/\"\nheaders = { \"A B\" = \"c\" }":       `2:11 Not a header: "A B" cannot be the name of a header, or its value has line breaks.`,
		"url = \"http://h/\"\nwithin = \"soon\"":                   `2:10 Bad duration: "soon" is not a duration such as "15s" or "1m".`,
		"url = \"http://h/\"\nca_file = \"ca.pem\"":                `2:11 Not an absolute path: "ca.pem" must begin with a slash: write the whole path.`,
		"url = \"http://h/\"\ncert_file = \"/c\"":                  `2:13 Meaningless here: cert_file goes with key_file, which is not given.`,
		"url = \"http://h/\"\nassert = response.stauts == 200":     `2:10 Unknown attribute: There is no response.stauts. Did you mean "status"?`,
		"url = \"http://h/\"\nassert = resp.status == 200":         `2:10 Unknown variable: Expressions here see response, not "resp".`,
		"url = \"http://h/\"\nassert = can(nope(response.status))": `2:14 Unknown function: Policies have no function "nope".`,
		"url = \"http://h/\"\nassert = matches(\"(\", \"\")":       "2:18 Not a regular expression: missing closing ): `(`. The syntax is RE2, https://github.com/google/re2/wiki/Syntax.",
		"url = \"http://h/\"\nassert = \"yes\"":                    `2:10 Wrong type: assert must be a bool, not a string.`,
		`url = "http://${var.host}/"`:                              `1:17 No variables here: Gates cannot use var: write the value itself.`,
		"url = \"http://h/\"\nassert = response.status == var.s":   `2:29 No variables here: Gates cannot use var: write the value itself.`,
	})
}

func TestHTTPString(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		`url = "http://user:pw@h/?token=planted"`: `GET http://user:(redacted)@h/?token=(redacted) until status 200-299, within 30s`,
		"port = \"http\"\ngroup = \"web\"\npath = \"/health\"\nmethod = \"HEAD\"\nassert = response.status == 204\nwithin = \"1m\"": `HEAD /health at port http of group web of every allocation until its assert holds, within 1m0s`,
		"port = \"http\"\npass = \"any\"": `GET / at port http of any allocation until status 200-299, within 30s`,
	} {
		if got := gate(t, "http", "n", src).Spec.(*httpGate).String(); got != want {
			t.Errorf("%s\n got %s\nwant %s", src, got, want)
		}
	}
}

// site answers in the ways that gates must tell apart.
func site(t *testing.T) *httptest.Server {
	t.Helper()
	var warm atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "fine") })
	mux.HandleFunc("/sick", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "{\n  \"error\": \"no database\",\n  \"password\": \"planted-secret\"\n}")
	})
	mux.HandleFunc("/warm", func(w http.ResponseWriter, r *http.Request) {
		if warm.Add(1) < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	mux.HandleFunc("/json", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"stdout": ["4\n"], "stderr": []}`) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", strings.Join([]string{r.Method, r.Header.Get("X-Ask"), r.Host}, " "))
		w.Write(body)
	})
	mux.HandleFunc("/long", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("x", bodyCap+5)) })
	mux.HandleFunc("/silent", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestHTTPGate(t *testing.T) {
	t.Parallel()
	s := site(t)
	const once = "within = \"50ms\"\ninterval = \"1m\"\n" // the first answer is the only one
	tests := map[string]struct{ src, want string }{
		"passes":             {"url = \"URL/ok\"", "passed: status 200"},
		"retried":            {"url = \"URL/warm\"\ninterval = \"1ms\"", "passed: status 200"},
		"what it saw":        {once + `url = "URL/sick"`, `failed: not within 50ms: status 503; body: { "error": "no database", "password": (redacted) }`},
		"not found":          {once + `url = "URL/nope"`, "failed: not within 50ms: status 404; body: 404 page not found"},
		"a status that may":  {"url = \"URL/nope\"\nassert = response.status == 404", "passed: status 404"},
		"assert":             {once + "url = \"URL/ok\"\nassert = response.body == \"good\"", "failed: not within 50ms: status 200, the assert does not hold; body: fine"},
		"json":               {"url = \"URL/json\"\nassert = length(response.json.stderr) == 0 && response.json.stdout[0] == \"4\\n\"", "passed: status 200"},
		"json is null":       {once + "url = \"URL/ok\"\nassert = response.json.stderr == []", "failed: not within 50ms: status 200, assert: Attempt to get attribute from null value: This value is null, so it does not have any attributes.; body: fine"},
		"json is asked for":  {"url = \"URL/ok\"\nassert = response.json == null", "passed: status 200"},
		"no redirect":        {once + `url = "URL/moved"`, `failed: not within 50ms: status 302, a redirect to /ok; body: <a href="/ok">Found</a>.`},
		"redirect":           {"url = \"URL/moved\"\nfollow_redirects = true", "passed: status 200"},
		"request":            {"url = \"URL/echo\"\nmethod = \"POST\"\nheaders = { X-Ask = \"me\", Host = \"other\" }\nbody = jsonencode({ a = 1 })\nassert = response.json.a == 1 && response.headers[\"X-Seen\"] == \"POST me other\"", "passed: status 200"},
		"body cap":           {"url = \"URL/long\"\nassert = strlen(response.body) == 1048576", "passed: status 200"},
		"slow":               {"url = \"URL/silent\"\ntimeout = \"20ms\"\nwithin = \"100ms\"\ninterval = \"1ms\"", "failed: not within 100ms: no answer within 20ms"},
		"slower than within": {"url = \"URL/silent\"\nwithin = \"20ms\"", "failed: not within 20ms: no answer within 20ms"},
		"nobody":             {once + `url = "http://127.0.0.1:1/"`, "failed: not within 50ms: dial tcp 127.0.0.1:1: connect: connection refused"},
		"no ca file":         {"url = \"URL/ok\"\nca_file = \"/nonexistent/ca\"", "failed: reading ca_file: open /nonexistent/ca: no such file or directory"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := gate(t, "http", "n", strings.ReplaceAll(tt.src, "URL", s.URL))
			if got := verdictOf(Run(t.Context(), &fake{}, Change{Job: testJob("web")}, g)); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestHTTPGateTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	const once = "within = \"500ms\"\ninterval = \"1m\"\n"
	for src, want := range map[string]string{
		"":                            "failed: not within 500ms: tls: failed to verify certificate: x509: certificate signed by unknown authority",
		"insecure_skip_verify = true": "passed: status 200",
		"ca_file = \"CA\"":            "passed: status 200",
		"ca_file = \"CA\"\nserver_name = \"example.com\"": "passed: status 200",
		"ca_file = \"CA\"\nserver_name = \"other.test\"":  "failed: not within 500ms: tls: failed to verify certificate: x509: certificate is valid for example.com, *.example.com, not other.test",
	} {
		t.Run(src, func(t *testing.T) {
			t.Parallel()
			g := gate(t, "http", "n", once+strings.ReplaceAll(src, "CA", ca)+"\nurl = \""+s.URL+"\"")
			if got := verdictOf(Run(t.Context(), &fake{}, Change{Job: testJob("web")}, g)); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestHTTPGateAtAllocations(t *testing.T) {
	t.Parallel()
	c, good := newCluster(t), site(t)
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }))
	t.Cleanup(bad.Close)
	change := c.run(sleepers("web", portOf(t, good), portOf(t, bad), 0))
	ids := []string{good.Listener.Addr().String(), "GOOD", bad.Listener.Addr().String(), "BAD"}
	allocs, err := Fresh(t.Context(), c, change)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range allocs {
		ids = append(ids, short(a.ID), "ALLOC")
	}
	const once = "within = \"500ms\"\ninterval = \"1m\"\npath = \"/ok\"\n"
	for src, want := range map[string]string{
		"port = \"http\"":                                     "failed: not within 500ms: 1 of 2 allocations pass; allocation ALLOC at BAD: status 500; body: empty",
		"port = \"http\"\npass = \"any\"":                     "passed: 1 of 2 allocations pass; allocation ALLOC at GOOD: status 200",
		"port = \"http\"\ngroup = \"g0\"":                     "passed: allocation ALLOC at GOOD: status 200",
		"port = \"http\"\ngroup = \"g1\"":                     "failed: not within 500ms: allocation ALLOC at BAD: status 500; body: empty",
		"port = \"http\"\ngroup = \"g2\"":                     "failed: not within 500ms: there is no allocation with port http",
		"port = \"http\"\nscheme = \"https\"\ngroup = \"g0\"": "failed: not within 500ms: allocation ALLOC at GOOD: http: server gave HTTP response to HTTPS client",
	} {
		t.Run(src, func(t *testing.T) {
			t.Parallel()
			if got := verdictOf(Run(t.Context(), c, change, gate(t, "http", "n", once+src)), ids...); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestHTTPCheckJob(t *testing.T) {
	t.Parallel()
	j := sleepers("web", 80, 0)
	for src, want := range map[string]string{
		`url = "http://h/"`:                  "",
		`port = "http"`:                      "",
		`port = "grpc"`:                      `gate.hcl:1,8-14: No such port; The job has no port "grpc"; its ports: http.`,
		"port = \"http\"\ngroup = \"g1\"":    `gate.hcl:1,8-14: No such port; Group "g1" has no port "http"; its ports: none.`,
		"port = \"http\"\ngroup = \"other\"": `gate.hcl:2,9-16: No such group; The job has no group "other"; its groups: g0, g1.`,
	} {
		if got := checkJob(gate(t, "http", "n", src), j); got != want {
			t.Errorf("%s\n got %s\nwant %s", src, got, want)
		}
	}
}

// TestHTTPGateEnds: when ctx does, at once, and with what it saw.
func TestHTTPGateEnds(t *testing.T) {
	t.Parallel()
	s := site(t)
	for name, tt := range map[string]struct {
		path  string
		cause error
		want  string
	}{
		"between attempts":  {"/sick", nil, `failed: interrupted; until then: status 503; body: { "error": "no database", "password": (redacted) }`},
		"in an attempt":     {"/silent", nil, "failed: interrupted"},
		"another gate":      {"/silent", &stopError{"gate tcp a failed"}, "failed: gate tcp a failed"},
		"the run's own end": {"/silent", context.DeadlineExceeded, "failed: the deadline came"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if errors.Is(tt.cause, context.DeadlineExceeded) {
				var stop context.CancelFunc
				ctx, stop = context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer stop()
			}
			time.AfterFunc(100*time.Millisecond, func() { cancel(tt.cause) })
			start := time.Now()
			got := verdictOf(Run(ctx, &fake{}, Change{Job: testJob("web")}, gate(t, "http", "n", "interval = \"1m\"\nurl = \""+s.URL+tt.path+`"`)))
			if got != tt.want || time.Since(start) > 5*time.Second {
				t.Errorf("\n got %s\nwant %s\nafter %s", got, tt.want, time.Since(start))
			}
		})
	}
}

// TestHTTPGateWithoutNomad: an answer that does not come is no verdict on the job;
// it is asked again, and told in the end.
func TestHTTPGateWithoutNomad(t *testing.T) {
	t.Parallel()
	c, s := newCluster(t), site(t)
	change := c.run(sleepers("web", portOf(t, s)))
	c.server.Fault(nomadtest.Fault{Path: "/v1/job/web/allocations", Status: 503, Text: "restarting", Times: 2})
	if got := Run(t.Context(), c, change, gate(t, "http", "n", "port = \"http\"\npath = \"/ok\"\ninterval = \"1ms\"")); !got.Passed {
		t.Errorf("Nomad came back: %s", got.Detail)
	}
	c.server.Fault(nomadtest.Fault{Status: 503, Text: "restarting"})
	got := Run(t.Context(), c, change, gate(t, "http", "n", "port = \"http\"\npath = \"/ok\"\ninterval = \"1ms\"\nwithin = \"1s\""))
	if got.Passed || !strings.Contains(got.Detail, "no answer from Nomad") {
		t.Errorf("Nomad stays away: %+v", got)
	}
}
