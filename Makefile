# Two commands are enough for a newcomer with Go and git: make run, make test.
# Nothing here needs a C compiler but race, and nothing needs the network once the
# modules are there.
.DEFAULT_GOAL := help
SHELL := bash

# The daemon's version is stamped from git, where there is a commit that git lets us read. A plugin gets no
# stamp: equal sources give equal bytes, and its digest is its identity.
VCS := $(shell git rev-parse -q --verify HEAD >/dev/null 2>&1 && echo auto || echo false)
# What -s -w would throw away is not made, and the compiler collects its garbage only when there is much: a
# first build is a seventh faster.
BUILD := GOGC=off GOMEMLIMIT=1GiB CGO_ENABLED=0 go build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w"
# Tests run what is shipped: pure Go.
TEST := CGO_ENABLED=0 go test
GOTESTFLAGS ?=
LINT := .ci/bin/golangci-lint
# Where programs go.
BIN := bin

.PHONY: help build plugins node run test race lint fmt proto bench soak tidy check release reproducible clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the daemon and its command line: bin/jackfield
	@$(BUILD) -buildvcs=$(VCS) -o $(BIN)/jackfield ./host

plugins: ## build the plugins: bin/plugins/git, js, slack, hello, crm-go
	@$(BUILD) -buildvcs=false -o $(BIN)/plugins/ ./plugins/... ./examples/hello ./examples/crm/crm-go

node: examples/node/node_modules/.installed ## build the plugin in JavaScript: bin/plugins/notes (needs Node.js 20 and npm)
	@cd examples/node && node build.js
	@mkdir -p bin/plugins && cp examples/node/build/notes bin/plugins/notes

examples/node/node_modules/.installed: examples/node/package-lock.json
	@cd examples/node && npm ci --no-audit --no-fund --loglevel=error
	@cp $< $@

# All is compiled side by side first; then each program is linked.
run: ## build, then start the quick start on this very clone; Ctrl-C ends it
	@test -x bin/jackfield || echo "building jackfield and its plugins; the first time takes about a minute" >&2
	@$(BUILD) -buildvcs=false ./host ./plugins/... ./examples/hello ./examples/crm/... ./examples/quickstart/repo
	@$(MAKE) --no-print-directory build plugins example
	@JACKFIELD_QUICKSTART_REPO=$$(bin/repo . .state/sample) && \
		export JACKFIELD_QUICKSTART_REPO && exec bin/jackfield quickstart --plugins bin/plugins --crm bin/fakecrm

# What the quick start needs beside the daemon: repo names the history that is read, of
# this clone or, where that has none, of a sample; fakecrm is the CRM, crmday plays calls.
.PHONY: example
example:
	@$(BUILD) -buildvcs=false -o bin/ ./examples/quickstart/repo ./examples/crm/fakecrm ./examples/crm/crmday

# Those that take longest come first, so that none of them runs alone at the end.
PACKAGES := ./host/internal/runner ./host ./store/sqlite ./...

test: ## run the tests
	@$(TEST) -timeout 20m $(GOTESTFLAGS) $(PACKAGES)

# What vet would find it finds in make test.
race: ## run the short tests under the race detector (needs a C compiler)
	@CGO_ENABLED=1 go test -race -short -vet=off -timeout 20m $(GOTESTFLAGS) $(PACKAGES)

lint: $(LINT) ## find bugs and imports that the layout forbids
	@CGO_ENABLED=0 $(LINT) run ./... ./.ci/report ./.ci/release ./.ci/openapi

fmt: $(LINT) ## format the Go files
	@$(LINT) fmt

proto: ## check the protocol files and write the Go beside them (needs npm)
	@.ci/proto

# The tests that have a long form, by name; they print a line that begins with
# "proof:". The kills measure how soon a host works again, and the simulation has its
# minute, so they are by themselves; the others share the processors.
SOAK := CrashPoint|Dropping|EveryWriteOfACall|Fence|Hostile|NoLogIsLost|Noisy|Poison|Power|RacingSwapper|RestartsLeak|SimulationReplays|SwapsUnderLoad
SOAK_PACKAGES := ./host ./host/internal/discovery ./host/internal/runner ./host/internal/supervisor ./store/sqlite
SOAK_TEST := JACKFIELD_SOAK=1 $(TEST) -count=1 -v -timeout 120m $(GOTESTFLAGS)

soak: ## the long forms of the proofs: kills, crash points, power cuts, seeds; a line each
	@mkdir -p .state
	@set -o pipefail; { $(SOAK_TEST) -run Killed ./host && $(SOAK_TEST) -run '^TestSimulation$$' ./host && $(SOAK_TEST) -run '$(SOAK)' -p 2 -parallel 2 $(SOAK_PACKAGES); } 2>&1 | \
		tee .state/soak.log | grep -E --line-buffered '^(--- |ok|FAIL|panic)|^ *--- FAIL|proof:|seed ' || \
		{ echo "soak failed: .state/soak.log has all of it" >&2; exit 1; }

bench: ## measure; one table, each line a ratio taken in this one run
	@JACKFIELD_BENCH=1 $(TEST) -run '^TestFigures$$' -count=1 -v -timeout 20m ./host

tidy: ## say what go.mod lacks or has too much; change nothing
	@go mod tidy -diff

check: test lint race tidy ## what a change must pass; .ci/run is the whole gate

release: ## build into bin/release, with what is in each program and the sums of all
	@rm -rf bin/release
	@$(MAKE) --no-print-directory BIN=bin/release build plugins
	@GOOS= GOARCH= go run ./.ci/release write bin/release

# A clone has the stamp of its commit wherever it is; a tree with changes has one that does
# not say what is in it, so its copies are built without. What is compiled comes from the
# compiler's cache, which knows no places: so the programs are looked through for them.
reproducible: ## build twice, in different folders, and compare each byte
	@set -e; at=$$(mktemp -d); trap 'rm -rf "$$at"' EXIT; vcs=false; \
	mkdir -p "$$at/one" "$$at/some/where/else"; \
	[[ $(VCS) != auto || -n $$(git status --porcelain) ]] || vcs=auto; \
	for to in "$$at/one" "$$at/some/where/else"; do \
		if [[ $$vcs == auto ]]; then git clone -q . "$$to"; else \
			tar -cf - --exclude=./.git --exclude=./.state --exclude=./bin --exclude=./.ci/bin --exclude=./.ci/node --exclude=node_modules . | tar -xf - -C "$$to"; fi; \
		$(MAKE) --no-print-directory -C "$$to" VCS=$$vcs BIN=bin build plugins; \
	done; \
	go run ./.ci/release same "$$at/one/bin" "$$at/some/where/else/bin" "$$at" "$$(go env GOMODCACHE)" "$$(go env GOROOT)"

clean: ## remove what was built, and what make run stored
	rm -rf bin .ci/bin .ci/out .state examples/node/build

# The tools module pins the version.
$(LINT): .ci/tools/go.mod .ci/tools/go.sum
	CGO_ENABLED=0 go build -buildvcs=false -modfile=.ci/tools/go.mod -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@
