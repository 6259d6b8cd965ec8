# What people do with this repository; `make` alone lists it. CONTRIBUTING.md
# says when to use which.

MODULES      := . cluster bench conformance
# cluster/ compiles Kubernetes, ten minutes on two cores the first time; check
# leaves it to CI unless asked: make check CHECK_MODULES=cluster
CHECK_MODULES ?= . bench conformance
FUZZTIME     ?= 20s
BENCHCOUNT   ?= 10
CLUSTERFLAGS ?=

# One set of build flags for building, vetting, linting and testing: another set
# would compile Kubernetes a second time. No cgo: the programs are static and
# run on any Linux, inside images too.
export CGO_ENABLED := 0
export GOFLAGS     := $(strip $(GOFLAGS) -trimpath -buildvcs=false)

VERSION := $(shell sh build/version.sh)
# Kubernetes learns its own version from the linker, too.
KUBERNETES := $(shell awk '$$1 == "k8s.io/kubernetes" {print $$2}' cluster/go.mod)
KUBEMINOR  := $(word 2,$(subst ., ,$(KUBERNETES)))
LDFLAGS := -s -w -X main.version=$(VERSION) \
	-X k8s.io/component-base/version.gitVersion=$(KUBERNETES) \
	-X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(KUBEMINOR) \
	-X k8s.io/client-go/pkg/version.gitVersion=$(KUBERNETES)
# The commit is stamped as well, where git gives it: in a folder of another user
# git refuses, and go build with it.
STAMP   := -buildvcs=$(shell git rev-parse HEAD >/dev/null 2>&1 && echo true || echo false) -ldflags "$(LDFLAGS)"
TOOL    := go tool -modfile=$(CURDIR)/tools.mod
# Built and started, not `go run`, which adds a line of its own to a failure.
run_own  = go build -o bin/.$(1) ./build/$(1) && bin/.$(1)
BUILD    = $(call run_own,progress)

# What a program is made from; tests and their data make no new program.
sources  = $(shell find $(1) -type f ! -name '*_test.go' ! -path '*/testdata/*' 2>/dev/null)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: up
up: toolchain packages-if-possible build ## start the platform and the sample shop on this machine
	@bin/tatami up --shop $(CLUSTERFLAGS)

.PHONY: down
down: ## stop it and leave nothing behind on the host (the data stays; see tatami down --help)
	@if [ -x bin/tatami ]; then bin/tatami down $(CLUSTERFLAGS); else echo "nothing is built here, so nothing runs"; fi

.PHONY: build
build: toolchain bin/tatami bin/shop bin/tatami-pause bin/tatami-proxy ## build bin/tatami and the programs beside it

.PHONY: check
check: toolchain fmt-check vet-check lint-check arch short generated ## what must hold before a change is sent, in about 90 s

.PHONY: test
test: toolchain packages-test build ## install what is missing and run every test, end-to-end included
	@$(call run_own,testall) -race $(MODULES)

.PHONY: race
race: toolchain ## run the tests of the root module under the race detector
	CGO_ENABLED=1 go test -race -count=1 ./...

.PHONY: fuzz
fuzz: toolchain ## run every fuzz test for FUZZTIME (20s)
	@set -e; for f in $$(grep -rl --include='*_test.go' '^func Fuzz' . || true); do \
		dir=$$(dirname $$f); \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$f); do \
			echo "$$dir $$name"; \
			(cd $$dir && go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) .); \
		done; \
	done

.PHONY: bench
bench: toolchain ## run the Go benchmarks BENCHCOUNT (10) times and summarise them
	@mkdir -p bin
	go test -run '^$$' -bench . -benchmem -count $(BENCHCOUNT) ./... | tee bin/bench.txt
	@$(TOOL) benchstat bin/bench.txt

.PHONY: generate
generate: toolchain deps ## write all generated files anew
	@set -e; for dir in $(MODULES); do (cd $$dir && go generate ./...); done

.PHONY: docs
docs: toolchain ## write the command reference and the man pages anew
	go generate ./internal/cli/...

.PHONY: deps
deps: toolchain ## write docs/deps: the modules that each program contains
	@mkdir -p docs/deps
	@sh build/deps.sh tatami-small . ./cmd/tatami
	@sh build/deps.sh tatami cluster .
	@sh build/deps.sh shop . ./examples/shop
	@sh build/deps.sh tatami-proxy . ./cmd/tatami-proxy

.PHONY: lint
lint: toolchain ## run the linters and look for known vulnerabilities, in all modules
	@sh build/lint.sh $(MODULES)
	@sh build/vuln.sh $(MODULES)

.PHONY: fmt
fmt: toolchain ## format all Go files
	@$(TOOL) gofumpt -w .

.PHONY: tidy
tidy: toolchain ## make go.mod, go.sum, tools.mod and tools.sum tidy
	@sh build/tidy.sh -w $(MODULES)

.PHONY: clean
clean: ## remove what was built here (not the data of a cluster)
	rm -rf bin

# Parts of the targets above; they can be run alone as well.

.PHONY: toolchain
toolchain:
	@sh build/toolchain.sh

.PHONY: packages packages-test packages-if-possible
packages:
	@sh build/packages.sh
packages-test:
	@sh build/packages.sh test
packages-if-possible:
	@sh build/packages.sh || echo "packages: going on without them, and so without a real node" >&2

.PHONY: fmt-check
fmt-check:
	@files=$$($(TOOL) gofumpt -l .) && if [ -n "$$files" ]; then echo "not formatted (run: make fmt):"; echo "$$files"; exit 1; fi

.PHONY: vet vet-check
vet: MODS = $(MODULES)
vet-check: MODS = $(CHECK_MODULES)
vet vet-check:
	@set -e; for dir in $(MODS); do echo "vet $$dir"; (cd $$dir && go vet ./...); done

# One module by itself, with its tests compiled: make module DIR=cluster
.PHONY: module
module:
	@cd $(DIR) && go build ./... && go vet ./...

.PHONY: lint-check
lint-check:
	@sh build/lint.sh $(CHECK_MODULES)

.PHONY: arch
arch:
	@go test ./internal/arch

.PHONY: short
short:
	@$(call run_own,testall) -short $(CHECK_MODULES)

.PHONY: generated
generated:
	@sh build/generated.sh

.PHONY: tidy-check
tidy-check:
	@sh build/tidy.sh $(MODULES)

bin/tatami: $(call sources,cluster internal api examples) go.mod go.sum bin/.version
	@$(BUILD) $@ cluster $(STAMP) -o ../$@ .
	@dd of=$@ oflag=nocache conv=notrunc,fdatasync count=0 status=none 2>/dev/null || true # see ADR 0004

bin/shop: $(call sources,examples) go.mod go.sum bin/.version
	@$(BUILD) $@ . $(STAMP) -o $@ ./examples/shop

bin/tatami-pause: $(call sources,cmd/tatami-pause) go.mod
	@$(BUILD) $@ . -ldflags "-s -w" -o $@ ./cmd/tatami-pause

# The tag leaves out a page of gRPC's own that nobody serves, and with it the
# templates that keep the linker from dropping methods: 13 MB instead of 16.
bin/tatami-proxy: $(call sources,cmd/tatami-proxy internal/proxy internal/core) go.mod go.sum bin/.version
	@$(BUILD) $@ . -tags grpcnotrace -ldflags "-s -w -X main.version=$(VERSION)" -o $@ ./cmd/tatami-proxy

# Touched only when the version changes, so that a program is linked again then.
bin/.version: always
	@mkdir -p bin
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@

.PHONY: always
always:
