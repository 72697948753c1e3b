# The targets below are the whole interface of the repository: CI runs nothing
# else. Each installs what it lacks into .tools/ or through a modfile in tools/.
# docs/testing.md says what each check is for.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Knobs, given on the command line: make fuzz-short FUZZTIME=1m
FUZZTIME ?= 10s# that make fuzz-short gives each fuzz target
EXECS ?= 10000000# of each fuzz target in make fuzz
TARGETS ?= .# of make fuzz: a regular expression
SERVICES ?= 300# that make corpus generates
ALL ?=# 1: make corpus takes all of them
SCHEDULES ?= 10000# that make sim runs
SEED ?= 1# of the first of them
INPUTS ?= 10000000# that make fuzz-glue compares
COUNT ?= 20# how often make soak runs each test
ARGS ?=# flags for make bench-rpc, bench-smoke, bench-idle, bench-codec, bench-gen and bench-pick

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-26s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## generate the quickstart with buf and call all four kinds of methods
	@scripts/generate examples/quickstart
	@go run ./examples/quickstart demo

.PHONY: demo-cluster
demo-cluster: ## run sharded servers over etcd as nine processes, examples/cluster, and prove what they do
	@scripts/generate examples/cluster
	@mkdir -p .work
	@cd examples/cluster && go build -o ../../.work/cluster .
	@exec .work/cluster

# The go test stage stands last, so that its lines close the output.
.PHONY: test
test: ## run every check marked (test) and print the seconds of each
	@scripts/stages checkgenerate fmt-check vet lint buf-lint cross demo corpus-short conformance-proto conformance-connect-short bench-smoke fuzz-short faults-short unit

.PHONY: generate
generate: ## generate all committed code from its protos
	@scripts/generate

.PHONY: checkgenerate
checkgenerate: ## (test) generate again and fail if a generated file changes
	@scripts/checkgenerate

.PHONY: golden
golden: ## write the plugin's golden packages anew and compile them
	@scripts/golden
	go vet ./testdata/gen/...

.PHONY: corpus
corpus: ## generate, compile and try SERVICES services that others wrote, ALL=1 for all
	@go run ./internal/tools/corpus $(if $(ALL),-all,-services $(SERVICES))

.PHONY: corpus-short
corpus-short: ## (test) the same with 40 services
	@$(MAKE) corpus SERVICES=40

.PHONY: fmt-check
fmt-check: ## (test) fail if gofmt -s would change a file
	@scripts/fmt-check

.PHONY: vet
vet: ## (test) go vet in every module
	@scripts/each-module go vet ./...

.PHONY: lint
lint: ## (test) golangci-lint in every module; .golangci.yml holds the import graph
	@scripts/each-module $(CURDIR)/scripts/golangci-lint ./...

.PHONY: buf-lint
buf-lint: ## (test) buf lint in every workspace of protos
	@scripts/buf-lint

.PHONY: unit
unit: ## (test) go test -race -shuffle=on in every module
	@scripts/unit

.PHONY: unit-cpus
unit-cpus: ## the same COUNT times, each test on one processor and on four
	@scripts/unit -cpu=1,4 -count=$(COUNT) -timeout=4h

.PHONY: fuzz-short
fuzz-short: ## (test) run each fuzz target for FUZZTIME
	@scripts/fuzz $(FUZZTIME)

.PHONY: fuzz
fuzz: ## run each fuzz target that matches TARGETS for EXECS executions; takes hours
	@scripts/fuzz $(EXECS)x '$(TARGETS)'

.PHONY: spec
spec: ## the protocol conformance suite, both roles
	@go run ./internal/spec $(ARGS)

.PHONY: fuzz-glue
fuzz-glue: ## compare INPUTS random inputs with protobuf-go, then fuzz for FUZZTIME
	@go run ./internal/tools/corpus -only protobuf -inputs $(INPUTS) -fuzztime $(FUZZTIME)

.PHONY: conformance-proto
conformance-proto: ## (test) protobuf's official conformance suite
	@go run ./internal/conformance $(ARGS)

.PHONY: conformance-connect
conformance-connect: ## Connect's official conformance suite: HTTP in all its protocols, and native
	@cd conformance && go run . $(ARGS)

.PHONY: conformance-connect-short
conformance-connect-short: ## (test) the same with fewer combinations, but each pair
	@cd conformance && go run . -short

.PHONY: browser
browser: ## drive the page of examples/browser in a headless Chromium
	@scripts/browser

.PHONY: cli
cli: ## call the examples with curl, buf curl, grpcurl and ghz
	@scripts/cli

.PHONY: interop
interop: ## grpc-go's interoperability suite: its client and our server, our client and its server
	@scripts/interop

.PHONY: faults-short
faults-short: ## (test) 50,000 calls with random cancels, 1,000 schedules of make sim
	@FAULTS=more go test -count=1 -run TestCancels ./runtime/internal/faults
	@$(MAKE) sim SCHEDULES=1000

.PHONY: faults
faults: ## every fault test whole: each cut, split and flipped bit, 300,000 cancels; takes an hour
	@scripts/faults

.PHONY: bench-attack
bench-attack: ## what calls notice of somebody who opens and cancels 100,000 streams
	@go run ./runtime/internal/faults/cmd/attack $(ARGS)

.PHONY: sim
sim: ## simulate SCHEDULES random networks and users, from seed SEED on
	@go run ./runtime/internal/faults/cmd/sim -schedules $(SCHEDULES) -seed $(SEED)

.PHONY: upheaval
upheaval: ## kill, restart and slow down servers that are processes; 2,000 clients of one that restarts
	@scripts/upheaval

.PHONY: cross
cross: ## (test) build for macOS, Windows, 32-bit and arm64
	@scripts/cross darwin/arm64 windows/amd64 linux/386 linux/arm64

.PHONY: soak
soak: ## run the unit tests COUNT times and the corpus whole; takes hours
	@$(MAKE) unit-cpus
	@$(MAKE) demo-cluster
	@$(MAKE) fuzz-short FUZZTIME=10m
	@$(MAKE) spec
	@$(MAKE) conformance-connect
	@$(MAKE) faults
	@$(MAKE) sim
	@$(MAKE) upheaval
	@$(MAKE) corpus ALL=1
	@$(MAKE) fuzz-glue FUZZTIME=10m

.PHONY: bench-gen-stubs
bench-gen-stubs: ## time the plugin beside protoc-gen-go-grpc
	@go run ./internal/tools/genbench

.PHONY: bench-rpc
bench-rpc: ## compare with other frameworks and floors: calls per second, CPU, latency, allocations, memory
	@scripts/bench -json .work/bench.json -page docs/performance.md -chart docs/performance.svg $(ARGS)

.PHONY: bench-codec
bench-codec: ## compare with vtprotobuf and protobuf-go: marshal and unmarshal of nine shapes
	@scripts/bench-codec $(ARGS)

.PHONY: bench-pick
bench-pick: ## compare with grpc-go: what it costs to choose one of many servers for a call
	@scripts/bench-pick $(ARGS)

.PHONY: bench-gen
bench-gen: ## the generated codecs beside vtprotobuf's: text, time to generate and compile, binary
	@cd bench/codec && go run ./gencost $(ARGS)

.PHONY: bench-idle
bench-idle: ## measure a server's memory per idle connection, plain and TLS
	@scripts/bench idle $(ARGS)

.PHONY: bench-size
bench-size: ## the binaries of the smallest clients and servers, beside grpc-go's and connect-go's
	@cd bench && go run ./size

.PHONY: bench-smoke
bench-smoke: ## (test) the same as short as can be, failing only if a run breaks
	@scripts/bench -smoke $(ARGS)
