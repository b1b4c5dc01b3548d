# Needs Go, git and GNU make; builds, downloads and keeps everything else itself (in $TIDEMARK_CACHE, else the user's
# cache folder + /tidemark).

VERSION ?= $(or $(shell git describe --tags --always --dirty 2>/dev/null),dev)
TIDEMARK := $(CURDIR)/bin/tidemark

# One set of flags for the product, its tests and the linters, so that nothing is compiled twice. The tags leave out what
# gRPC drags in and Tidemark never calls: 30 MB.
export CGO_ENABLED = 0
export GOFLAGS := $(sort $(shell go env GOFLAGS) -trimpath -tags=grpcnotrace,disable_grpc_modules)
# The tests' way to the binary.
export TIDEMARK_BIN = $(TIDEMARK)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## build bin/tidemark, static
	@go run ./tests/gobuild -ldflags '-s -w -X main.version=$(VERSION)' -o $(TIDEMARK) ./cmd/tidemark

.PHONY: lambda
lambda: ## build bin/tidemark-lambda.zip for AWS Lambda (provided.al2023, arm64)
	@GOOS=linux GOARCH=arm64 go build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/lambda/bootstrap ./cmd/tidemark-lambda
	@go run ./tests/lambdazip -o bin/tidemark-lambda.zip bin/lambda/bootstrap

# The commit's time is the image's, so that building it again gives the same.
.PHONY: image
image: ## build the container image, for amd64 and arm64, in bin/image; needs no container engine
	@cd deploy/image && GOFLAGS= go run . -root $(CURDIR) -out $(CURDIR)/bin/image -version '$(VERSION)' \
		-revision '$(shell git rev-parse HEAD 2>/dev/null)' -created '$(or $(shell TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null),1970-01-01T00:00:00Z)' $(if $(ARCH),-arch $(ARCH))

.PHONY: e2e
e2e: servers ## run the shipped image on a real node: kubelet, containerd, runc; as root, installs them from Debian
	@go run ./tests/servers/install kubelet
	@$(MAKE) --no-print-directory image build ARCH=$(shell go env GOHOSTARCH)
	@TIDEMARK_E2E=$(CURDIR)/bin/image go test -v -count 1 -timeout 20m -vet off ./tests/e2e

.PHONY: check
check: ## everything that CI checks: lint and test
	@status=0; $(MAKE) --no-print-directory lint || status=1; $(MAKE) --no-print-directory test || status=1; exit $$status

.PHONY: test
test: servers build ## run every test, against real servers
	@go run ./tests/suite -summary $(CURDIR)/bin/tests.txt -- -p 2 -count 1 -timeout 30m -vet off

.PHONY: mutants
mutants: ## take each safeguard away in turn, and show which test notices
	@go run ./tests/mutants

# Where TIDEMARK_SOAK is set, everything runs of which make test has a sample: each point at which a run can be killed, each
# way in which a network breaks; and as many seeds of simulated runs as it says.
SEEDS ?= 1000000
SOAKED := $(wildcard tests/simulation tests/faults)

.PHONY: soak
soak: servers build ## run all of what make test only samples; takes an hour or more (SEEDS=n simulated runs)
	@status=0; for dir in $(SOAKED); do \
		(cd $$dir && TIDEMARK_SOAK=$(SEEDS) go test -v -count 1 -timeout 24h -vet off ./...) || status=1; \
	done; exit $$status

# make bench FULL=1 leaves nothing out to save time; SMOKE=1 proves in a minute or two that all can be measured.
.PHONY: bench
bench: servers build ## measure what Tidemark costs, beside other tools; takes half an hour (FULL=1: more, SMOKE=1: little)
	@cd tests/bench && go run . -tidemark $(TIDEMARK) -out $(CURDIR)/bin/bench $(if $(FULL),-full) $(if $(SMOKE),-smoke)

.PHONY: lint
lint: ## run every linter
	@go run ./tests/lint

.PHONY: servers
servers: ## build and cache the servers that the tests run against
	@go run ./tests/servers/install

.PHONY: tools
tools: ## build and cache the linters
	@go run ./tests/lint -install

.PHONY: clean
clean: ## remove what was built here; the cache stays
	rm -rf bin

# make run tells Tidemark's story on a cluster of its own. The story drifts and prunes, so it never runs on a cluster
# that somebody named; and a cluster counts as named only on make's own command line, not by an exported KUBECONFIG.
OWN := $(strip $(foreach name,KUBECONFIG CONTEXT REPO APP_PATH STATE APP REF NAMESPACE,$(if $(filter command,$(firstword $(origin $(name)))),$(name))))
NEEDED := KUBECONFIG CONTEXT REPO STATE

.PHONY: run
ifeq ($(OWN),)
run: build ## see Tidemark at work: on a cluster of its own, or on yours (REPO= APP_PATH= STATE= KUBECONFIG= CONTEXT=)
	@go run ./tests/servers/install apiserver
	@go run ./tests/demo -tidemark $(TIDEMARK)
else
# What the run is not told it must not guess.
MISSING := $(strip $(foreach name,$(NEEDED),$(if $(and $(filter $(name),$(OWN)),$(strip $($(name)))),,$(name))))
ifneq ($(MISSING),)
run:
	@echo 'make run on your own cluster: say $(foreach name,$(MISSING),$(name)=…) on the command line too; nothing was done.' >&2
	@echo 'An exported KUBECONFIG does not count, so that no cluster is synced by accident.' >&2
	@echo 'Usage: make run REPO=URL APP_PATH=DIR STATE=URL KUBECONFIG=FILE CONTEXT=NAME [APP=NAME REF=REF NAMESPACE=NAME]' >&2
	@exit 1
else
APP ?= $(basename $(notdir $(REPO)))
SYNC = bin/tidemark sync --app '$(APP)' --repo '$(REPO)' $(if $(REF),--ref '$(REF)') --path '$(or $(APP_PATH),.)' \
	--state '$(STATE)' --kubeconfig '$(KUBECONFIG)' --context '$(CONTEXT)' $(if $(NAMESPACE),--namespace '$(NAMESPACE)')
run: build
	$(strip $(SYNC))
endif
endif
