# Thin on purpose: every line is what one would type.
.PHONY: build test lint fuzz install

build:
	go build -o bin/ ./cmd/reconcile

test:
	go test ./...

lint:
	.ci/run lint

fuzz:
	.ci/run fuzz

install:
	go install ./cmd/reconcile
