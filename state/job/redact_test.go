package job_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/state/job"
)

const pem = "-----BEGIN RSA PRIVATE KEY-----\nplantedplantedplantedpl\nplanted=\n-----END RSA PRIVATE KEY-----"

// What each hides holds "planted"; nothing else of the text may be lost.
func TestRedactsWhateverTheText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`["--token", "planted"]`:                           `["--token", "(redacted)"]`,
		`["run", '--api-key', 'planted', "-v"]`:            `["run", '--api-key', "(redacted)", "-v"]`,
		"[\n  \"--token\",\n  \"planted\",\n  \"a\",\n]":   "[\n  \"--token\",\n  \"(redacted)\",\n  \"a\",\n]",
		"tool --api-key planted -v":                        "tool --api-key (redacted) -v",
		"tool --password=planted -v":                       "tool --password=(redacted) -v",
		"curl -H 'Authorization: Bearer planted' url":      "curl -H 'Authorization: Bearer (redacted)' url",
		"the answer to Bearer planted-1 was 403":           "the answer to Bearer (redacted) was 403",
		"Basic cGxhbnRlZDpwbGFudGVk==":                     "Basic (redacted)",
		"X-Nomad-Token: planted":                           "X-Nomad-Token: (redacted)",
		pem:                                                "-----BEGIN RSA PRIVATE KEY-----\n(redacted)\n(redacted)\n-----END RSA PRIVATE KEY-----",
		"key\n" + pem[:60]:                                 "key\n-----BEGIN RSA PRIVATE KEY-----\n(redacted)\n(redacted)",
		strings.ReplaceAll(pem, "\n", `\n`) + " after":     "-----BEGIN RSA PRIVATE KEY-----(redacted)-----END RSA PRIVATE KEY----- after",
		"DB_PASS=planted ./run":                            "DB_PASS=(redacted) ./run",
		`clientSecret=planted`:                             `clientSecret=(redacted)`,
		`{"api_key": "planted", "b": 1}`:                   `{"api_key": (redacted), "b": 1}`,
		"login password: planted":                          "login password: (redacted)",
		"password = <<EOF\nplanted\nEOF\nafter":            "password = (redacted)\n(redacted)\nEOF\nafter",
		"tokens here: token = [\n  \"planted\",\n]\nafter": "tokens here: token = [\n  \"(redacted)\",\n]\nafter",
		"postgres://user:planted@db/x":                     "postgres://user:(redacted)@db/x",
		"postgres://user:pl@nted-planted@db/x":             "postgres://user:(redacted)@db/x",
		"POSTGRES://:planted@db":                           "POSTGRES://:(redacted)@db",
		"https://u:planted@git.example.com/jobs/web.hcl":   "https://u:(redacted)@git.example.com/jobs/web.hcl",
		"https://example.com/?access_token=planted&a=1":    "https://example.com/?access_token=(redacted)&a=1",
		"got AKIAPLANTED123456789, gone":                   "got (redacted), gone",
		"ghp_planted0123456789planted0123456789 expired":   "(redacted) expired",
		"glpat-planted_0123456789":                         "(redacted)",
		"hvs.planted0123456789planted":                     "(redacted)",
		"xoxb-planted-0123456789":                          "(redacted)",
		"sk-ant-planted0123456789planted":                  "(redacted)",
		"a eyJplanted123.eyJplanted123.planted-_ b":        "a (redacted) b",
	} {
		for mode, redact := range map[string]func(string) string{"text": redactText, "code": job.RedactCode} {
			got := redact(text)
			if got != want {
				t.Errorf("%s: %s", mode, cmp.Diff(want, got))
			}
			if again := redact(got); again != got {
				t.Errorf("%s, redacted twice: %s", mode, cmp.Diff(got, again))
			}
		}
	}
}

func redactText(s string) string { return job.RedactText(s) }

func TestInnocentTextStays(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"jobs/token.hcl:3:5: Unsupported argument", "token.hcl:3:5: bad, see secrets/password.nomad:1:1: too", "jobs/token.hcl changed",
		"task web: the env block lacks API_TOKEN, DB_PASS", "auth: permission denied", "2 pass: all of them",
		"use basic authentication or bearer tokens", "nothing to hide at https://example.com:8080/a@v1", "ssh://git@example.com/x",
		"NOMAD_SECRETS_DIR=/secrets", "max_tokens=4096", "compass: north, author: me", "LOG_LEVEL=info KEY=a monkey=b", "--tokenizer bert -v",
		"/var/lib/reconcile/jobs/orchestrator/backup/file", "version 3", "", "\n\n", "sudo -E /usr/bin/app --level info",
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "skip sk-short", "$TOKEN is not set",
	} {
		if got := job.RedactText(text); got != text {
			t.Error(cmp.Diff(text, got))
		}
	}
	for _, text := range []string{"jobs/token.hcl:3:5: bad", "/opt/long/path/of/many/letters/and/no/dots/at/all", `args = ["-E", "app"]`} {
		if got := job.RedactCode(text); got != text {
			t.Error(cmp.Diff(text, got))
		}
	}
	if text := "token-service: somebody registered it"; job.RedactText(text, "", "token-service") != text {
		t.Error("a job's name is no secret's")
	}
}

// In code a colon stands before a value, be the name as weak as it likes.
func TestRedactCodeColon(t *testing.T) {
	t.Parallel()
	if got := job.RedactCode("auth: planted"); got != "auth: (redacted)" {
		t.Error(got)
	}
	if got := job.RedactCode("a\n" + strings.Repeat("Planted0", 8)); got != "a\n(redacted)" {
		t.Error(got)
	}
}

func TestRedactDiff(t *testing.T) {
	t.Parallel()
	diff := "--- token = a.hcl\n+++ token = a.hcl\n@@ -1,8 +1,8 @@\n key = [\n   \"a\",\n-  \"--token\",\n-  \"planted\",\n+  \"--token\",\n+  \"planted\",\n ]\n" +
		"--- password: planted\n+++ password: planted\n   PASSWORD = <<EOT\n-planted\n+planted\n EOT\n-a\n+b\n@@ -20 +20 @@\n-c\n+d\n"
	want := "--- token = a.hcl\n+++ token = a.hcl\n@@ -1,8 +1,8 @@\n key = [\n   \"a\",\n-  \"--token\",\n-  \"(redacted)\",\n+  \"--token\",\n+  \"(redacted)\",\n ]\n" +
		"--- password: (redacted)\n+++ password: (redacted)\n   PASSWORD = (redacted)\n-(redacted)\n+(redacted)\n EOT\n-a\n+b\n@@ -20 +20 @@\n-c\n+d\n"
	if d := cmp.Diff(want, job.RedactDiff(diff)); d != "" {
		t.Error(d)
	}
}

func TestRedactValue(t *testing.T) {
	t.Parallel()
	env := at(t, ".env")
	for _, c := range []struct {
		at       job.Path
		in, want any
	}{
		{env.Attr("DB_PASS"), "planted", job.Redacted},
		{env.Attr("DB_PASS"), nil, nil},
		{env.Attr("A"), "b", "b"},
		{env.Attr("DSN"), "pg://u:planted@db", "pg://u:(redacted)@db"},
		{env.Attr("N"), 3, 3},
		{env, []any{"--token", "planted", "-v"}, []any{"--token", job.Redacted, "-v"}},
		{env, map[string]any{"a": "b", "password": "planted", "in": []any{"password=planted"}}, map[string]any{"a": "b", "password": job.Redacted, "in": []any{"password=(redacted)"}}},
		{env, []map[string]any{{"token": "planted"}}, []any{map[string]any{"token": job.Redacted}}},
	} {
		if d := cmp.Diff(c.want, job.RedactValue(c.at, c.in)); d != "" {
			t.Errorf("%s: %s", c.at, d)
		}
	}
}

func TestIsSecretName(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]bool{
		"PASSWORD": true, "db_password": true, "passwords": true, "AWS_SECRET_ACCESS_KEY": true, "API_KEY": true, "api-key": true, "apikey": true,
		"authToken": true, "clientSecretKey": true, "X-Vault-Token": true, "DB_PASS": true, "PGPASSWORD": true, "private_key": true, "token": true, "credentials": true,
		"compass": false, "monkey": false, "author": false, "LOG_LEVEL": false, "KEY": false, "tokenizer": false, "max_tokens": false, "NOMAD_SECRETS_DIR": false, "passenger": false, "": false,
	} {
		if job.IsSecretName(name) != secret {
			t.Errorf("%s: %t", name, !secret)
		}
	}
	if !job.IsSecretPath(at(t, ".env.DB_PASSWORD")) || job.IsSecretPath(at(t, ".env.A")) {
		t.Error("a path is secret as its names are")
	}
}
