# goodhart: every command a developer or CI needs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN      := $(CURDIR)/.bin
CACHE    := $(CURDIR)/.cache
PACKAGES := ./schemas/... ./pkg/... ./services/...
MODULES  := schemas pkg services

# Pinned tools, built from source into .bin.
BUF_VERSION       := v1.75.0
GOLANGCI_VERSION  := v2.15.0
PROTOC_GEN_GO     := v1.36.12
VTPROTO_VERSION   := v0.6.0
# The ClickHouse engine (ClickHouse 26.7) as npm ships it, and a client that is
# not ours to test it with.
CHDB_PACKAGE      := @chdb/lib-linux-x64-gnu
CHDB_VERSION      := 26.7.3-stable.1
CLICKHOUSE_CONNECT := 1.12.0
# Peers to test against, from Debian: a Kafka client that is not ours (kcat with
# its libraries), Prometheus with promtool, Alertmanager.
DEBIAN_PACKAGES   := kcat librdkafka1 libyajl2 prometheus prometheus-alertmanager

CHDB   := $(CACHE)/chdb/package/libchdb.so
VENV   := $(CACHE)/venv/ready
PEERS  := $(CACHE)/debian/ready
GO     := go
GOTEST := $(GO) test -p 2
# Packages wait for Apache Kafka in turn: a third one keeps both cores at work.
TESTS  := env REQUIRE_TOOLS=1 $(GO) test -p 3 -timeout 40m $(PACKAGES)
KAFKA  := deploy/kafka/cluster.sh
# Folds and statistics run in the goroutine of their caller: nothing to race with.
PURE   := pkg/(habit|identity|kpi|ledger|machine|policy|price|score|seaspot|signal|subject|tenant|window)(/|$$)|organisation$$

export GOBIN := $(BIN)
export PATH := $(BIN):$(PATH)
export GOFLAGS ?= -buildvcs=false

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  \033[1m%-10s\033[0m %s\n", $$1, $$2}'

.PHONY: build
build: ## Build goodhart and chserve into .bin
	$(GO) build -o $(BIN)/goodhart ./services/cmd/goodhart
	$(GO) build -o $(BIN)/chserve ./services/cmd/chserve

.PHONY: test
test: $(CHDB) $(VENV) $(PEERS) ## Run every test, against the real engine, a real client and Apache Kafka
	@if [ -n "$${KAFKA_BROKERS:-}" ]; then $(TESTS); \
	elif lacks=$$($(KAFKA) fetch 2>&1); then $(KAFKA) run -- $(TESTS); \
	elif [ "$${REQUIRE_KAFKA:-}" = 1 ]; then echo "$$lacks"; exit 1; \
	else code=0; $(TESTS) || code=$$?; \
	  echo "Skipped: the half of the tests that runs on Apache Kafka. $$lacks"; exit $$code; fi

.PHONY: race
race: $(CHDB) ## Run the tests of what runs concurrently under the race detector
	$(GOTEST) -race -short -timeout 20m $$($(GO) list $(PACKAGES) | grep -vE '$(PURE)')

.PHONY: lint
lint: $(BIN)/golangci-lint $(BIN)/buf ## Run the linters
	$(BIN)/golangci-lint run $(PACKAGES)
	cd schemas && $(BIN)/buf lint

.PHONY: fmt
fmt: $(BIN)/golangci-lint ## Format Go and protobuf sources
	$(BIN)/golangci-lint fmt $(PACKAGES)

.PHONY: tidy
tidy: ## Tidy the three modules
	for m in $(MODULES); do (cd $$m && GOWORK=off $(GO) mod tidy); done

.PHONY: gen
gen: $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-vtproto ## Generate protobuf code and documentation
	cd schemas && $(BIN)/buf generate
	$(GO) generate $(PACKAGES)

.PHONY: bench
bench: $(CHDB) ## Run the benchmarks, five times each (BENCH=regexp COUNT=5)
	$(GOTEST) -p 1 -run '^$$' -bench '$(or $(BENCH),.)' -benchmem -count $(or $(COUNT),5) $(PACKAGES)

.PHONY: evaluate
evaluate: build ## Measure the detectors on simulated companies and write docs/evaluation.md (SEEDS=100-119, TRACES=directory of public traces; what was played is kept)
	GOGC=400 $(BIN)/goodhart evaluate --seeds $(or $(SEEDS),100-119) --cache $(CACHE)/evaluate --report docs/evaluation.md $(if $(TRACES),--traces $(TRACES))

.PHONY: fuzz
fuzz: ## Fuzz every decoder for FUZZTIME (30s)
	@for pkg in $$($(GO) list $(PACKAGES)); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(or $(FUZZTIME),30s) $$pkg; \
	  done; \
	done

.PHONY: demo
demo: build $(CHDB) ## Run the whole pipeline on simulated traffic and compare with the truth (FAULTS=seed breaks it meanwhile, BROKER=kafka on Apache Kafka)
ifdef FAULTS
	$(GO) build -o $(BIN)/faultdemo ./services/cmd/faultdemo
	$(if $(filter kafka,$(BROKER)),env -u KAFKA_DIR -u KAFKA_PORT $(KAFKA) run --) $(BIN)/faultdemo -seed $(FAULTS) -bin $(BIN) -library $(CHDB) $(if $(filter kafka,$(BROKER)),-cluster)
else
	@$(MAKE) -s $(PEERS) || echo "The demo goes on without Alertmanager."
	GOODHART_BIN=$(BIN) CHDB_LIB=$(CHDB) bash deploy/demo/demo.sh
endif

.PHONY: kafka
kafka: ## Run Apache Kafka, three nodes on loopback, until Ctrl-C (KAFKA_DIR, KAFKA_PORT)
	@$(KAFKA) up

.PHONY: up
up: build $(CHDB) ## Run the whole pipeline on its embedded defaults
	$(BIN)/goodhart up --library $(CHDB)

.PHONY: check
check: ## Everything CI checks
	$(MAKE) check-format check-boundaries check-generated lint
	REQUIRE_KAFKA=1 $(MAKE) test
	$(MAKE) race
	$(MAKE) check-bench

.PHONY: check-format
check-format: $(BIN)/golangci-lint
	@diff=$$($(BIN)/golangci-lint fmt --diff $(PACKAGES)); if [ -n "$$diff" ]; then echo "$$diff"; echo "run make fmt"; exit 1; fi
	for m in $(MODULES); do (cd $$m && GOWORK=off $(GO) mod tidy -diff); done

# The workspace hides imports that point the wrong way; one module alone does not.
.PHONY: check-boundaries
check-boundaries:
	for m in $(MODULES); do (cd $$m && GOWORK=off $(GO) vet ./...); done

.PHONY: check-generated
check-generated: $(BIN)/buf
	cd schemas && $(BIN)/buf breaking --against baseline.binpb
	$(MAKE) gen
	git diff --exit-code -- schemas/gen docs

.PHONY: check-bench
check-bench:
	$(GOTEST) -p 1 -run '^$$' -bench . -benchtime 1x -short $(PACKAGES)

.PHONY: tools
tools: $(BIN)/golangci-lint $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-vtproto $(CHDB) $(VENV) $(PEERS) ## Install the pinned tools, the ClickHouse engine and the peers to test against

# A tool is built again when its pin changes: the stamp's name holds the version.
define tool
$(BIN)/$(1): $(BIN)/.$(1)-$(3)
	$(GO) install $(2)@$(3)
	@touch $$@
$(BIN)/.$(1)-$(3):
	@mkdir -p $(BIN) && rm -f $(BIN)/.$(1)-v* && touch $$@
endef
$(eval $(call tool,golangci-lint,github.com/golangci/golangci-lint/v2/cmd/golangci-lint,$(GOLANGCI_VERSION)))
$(eval $(call tool,buf,github.com/bufbuild/buf/cmd/buf,$(BUF_VERSION)))
$(eval $(call tool,protoc-gen-go,google.golang.org/protobuf/cmd/protoc-gen-go,$(PROTOC_GEN_GO)))
$(eval $(call tool,protoc-gen-go-vtproto,github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto,$(VTPROTO_VERSION)))

# The engine is 566 MB: it is fetched once and kept in .cache.
$(CHDB):
	@mkdir -p $(CACHE)/chdb
	@cd $(CACHE)/chdb && { npm pack --silent $(CHDB_PACKAGE)@$(CHDB_VERSION) >/dev/null && tar xzf *.tgz && rm -f *.tgz; } || { \
	  echo "The ClickHouse engine ($(CHDB_PACKAGE)@$(CHDB_VERSION)) could not be fetched through npm."; \
	  echo "Install npm (Node 20 or newer) and run 'make tools' again, put libchdb.so at $(CHDB) by hand,"; \
	  echo "or set CLICKHOUSE_DSN to a ClickHouse server of version 26 or newer."; exit 1; }
	@touch $@

$(VENV):
	python3 -m venv $(CACHE)/venv
	$(CACHE)/venv/bin/pip install --quiet --disable-pip-version-check clickhouse-connect==$(CLICKHOUSE_CONNECT)
	@touch $@

# Debian packages are unpacked into .cache, not installed: the machine stays as
# it was. Anything already on the PATH under these names serves as well.
$(PEERS):
	@mkdir -p $(CACHE)/debian $(BIN)
	@cd $(CACHE)/debian && for try in 1 2; do \
	  apt-get -qq download $(DEBIAN_PACKAGES) 2>/dev/null && break; apt-get -qq update || true; \
	done; for deb in *.deb; do dpkg -x $$deb root && rm $$deb; done || { \
	  echo "These Debian packages could not be fetched: $(DEBIAN_PACKAGES)."; \
	  echo "Install kcat, prometheus, promtool and prometheus-alertmanager by hand, touch $@ and run this again."; exit 1; }
	@printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$$@"\n' '$(CACHE)/debian/root/usr/lib/x86_64-linux-gnu' '$(CACHE)/debian/root/usr/bin/kcat' > $(BIN)/kcat && chmod +x $(BIN)/kcat
	@ln -sf $(CACHE)/debian/root/usr/bin/prom* $(CACHE)/debian/root/usr/bin/amtool $(BIN)/
	@touch $@

.PHONY: hooks
hooks: ## Use the repository's git hooks
	git config core.hooksPath .githooks

.PHONY: clean
clean: ## Remove binaries and local state, keep fetched tools
	rm -rf $(BIN)/goodhart $(BIN)/chserve .goodhart
