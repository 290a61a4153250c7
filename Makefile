# Thin on purpose: every line is what one would type.
.PHONY: build test lint fuzz bench bench-peers install

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
	go test -run '^$$' -bench . -benchtime 3x -timeout 30m ./cmd/reconcile

# Against conftest, its latest release, which leaves nothing behind.
bench-peers:
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	GOBIN=$$dir go install github.com/open-policy-agent/conftest@latest && \
	BENCH_CONFTEST=$$dir/conftest go test -run '^$$' -bench '^BenchmarkPeers$$' -benchtime 3x -timeout 30m ./cmd/reconcile

install:
	go install ./cmd/reconcile
