# Thin on purpose: every line is what one would type.
.PHONY: build test lint fuzz bench bench-peers bench-peers-check bench-peers-agent install uninstall

build:
	go build -o bin/ ./cmd/reconcile

test:
	go test ./...

lint:
	.ci/run lint

fuzz:
	.ci/run fuzz

# Below each benchmark stands what it means. Ratios hold on any machine, times do not.
bench:
	go test -run '^$$' -bench . -benchtime 5s ./state/jobspec ./policies
	go test -run '^$$' -bench . -benchtime 3x -timeout 60m ./cmd/reconcile

# Against others, their latest releases, which leave nothing behind.
bench-peers: bench-peers-check bench-peers-agent

bench-peers-check:
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	GOBIN=$$dir go install github.com/open-policy-agent/conftest@latest && \
	BENCH_CONFTEST=$$dir/conftest go test -run '^$$' -bench '^BenchmarkPeers$$' -benchtime 3x -timeout 30m ./cmd/reconcile

# What the agent asks of Nomad, and another one: ten minutes of mostly waiting. Where the
# other is not to be had, ours is measured alone; -v says so.
bench-peers-agent:
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	{ GOBIN=$$dir go install github.com/gerrowadat/nomad-gitops/cmd/nomad-gitops@latest || \
		echo "nomad-gitops cannot be installed, see above: its side is skipped" >&2; } && \
	BENCH_PEER=$$dir/nomad-gitops go test -v -run '^$$' -bench '^BenchmarkPeersAgent$$' -benchtime 1x -timeout 30m ./cmd/reconcile

# What `make` has built becomes a service of this host, see "On a host" in README.md.
# It does not build, because root need not have Go, and starts nothing.
DESTDIR ?=
PREFIX ?= /usr/local
BIN ?= bin/reconcile
deploy = config/deploy
units = $(DESTDIR)$(PREFIX)/lib/systemd/system
users = $(DESTDIR)$(PREFIX)/lib/sysusers.d
share = $(DESTDIR)$(PREFIX)/share/reconcile
etc = $(DESTDIR)/etc/reconcile

install:
	@test -x $(BIN) || { echo "$(BIN) is not there: type make first" >&2; exit 1; }
	install -d $(DESTDIR)$(PREFIX)/bin $(units) $(users) $(share) $(etc)/policies
	install -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/reconcile
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|' $(deploy)/reconcile.service >$(units)/reconcile.service
	chmod 644 $(units)/reconcile.service
	install -m 644 $(deploy)/reconcile.sysusers $(users)/reconcile.conf
	install -m 644 $(deploy)/reconcile.service.d/*.conf $(share)
	test -e $(etc)/reconcile.hcl || install -m 644 $(deploy)/reconcile.hcl $(etc)/reconcile.hcl
	@echo
	@echo 'Installed. Nothing was started. Next, as root:'
	@echo '  systemd-sysusers                   makes the user reconcile'
	@echo '  editor /etc/reconcile/reconcile.hcl'
	@echo '  systemctl daemon-reload'
	@echo '  systemctl enable --now reconcile'
	@echo 'Rights on the job files, and the token: "On a host" in README.md.'

# Configuration, state and user stay: they are not ours to throw away.
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/reconcile $(units)/reconcile.service $(users)/reconcile.conf
	rm -rf $(share)
	@echo
	@echo 'What stays: /etc/reconcile, /var/lib/reconcile with backups and history, drop-ins in'
	@echo '/etc/systemd/system/reconcile.service.d, and the user reconcile. If it still runs:'
	@echo '  systemctl disable --now reconcile'
