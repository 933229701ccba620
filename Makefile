# flotilla: make help lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
VERSION := 0.1.0
BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)'
TOOL := go tool -modfile=.ci/tools.mod

.DEFAULT_GOAL := help
UNIT = $$(go list ./... | grep -v '^flotilla/sim$$')
SEEDS ?= 1000

.PHONY: help build check lint unit sim e2e test test-long bench demo demo-down clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/flotilla, one static binary
	@$(BUILD) -o bin/flotilla ./cmd/flotilla

check: build lint unit ## the quick loop: build, lint, unit tests, a few seeds of the simulator
	@SIM_SEEDS=20 CGO_ENABLED=0 go test -run=Seeds ./sim

lint: ## gofumpt, vet, staticcheck
	@unformatted=$$($(TOOL) gofumpt -l $$(git ls-files '*.go' 2>/dev/null || find . -name '*.go')); \
	  if [ -n "$$unformatted" ]; then echo "not gofumpt-ed: $$unformatted (mend: go tool -modfile=.ci/tools.mod gofumpt -w FILE)"; exit 1; fi
	@for script in .ci/run e2e/run $$(find e2e -name '*.sh'); do bash -n "$$script"; done
	@CGO_ENABLED=0 go vet -tags e2e ./...
	@CGO_ENABLED=0 go -C install/butane vet ./...
	@CGO_ENABLED=0 $(TOOL) staticcheck -tags e2e ./...

unit: ## unit tests, without hosts
	@CGO_ENABLED=0 go test $(UNIT)

sim: ## the simulator: SEEDS (1000) seeds of faults, as many of reboots, and the defects they must catch
	@SIM_SEEDS=$(SEEDS) SIM_REBOOTS=$(SEEDS) CGO_ENABLED=0 go test -count=1 -timeout=60m ./sim

e2e: build ## tests on real hosts, alone
	@e2e/run e2e

test: ## installs what it needs and runs every test, with a table at the end
	@e2e/run test

test-long: ## what does not fit into test: every scenario three times, long fuzzing, nested boot
	@e2e/run long

bench: build ## the benchmark table of docs/benchmarks.md
	@e2e/run bench

demo: ## three real hosts on this machine: run the examples, kill a host, look around
	@e2e/demo.sh up

demo-down: ## removes the demo and all it made but the image cache
	@e2e/demo.sh down

clean: demo-down ## removes build output too
	@rm -rf bin .flotilla
