# The two commands of the README are `make demo` and `make test`.
# Each sets up all it needs in .venv from pinned, hashed packages; the only thing they ask for is Python 3.11 or newer.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
FUZZ_SECONDS ?= 30
WORKERS ?= 2

# The first interpreter that is new enough; `make PYTHON=/path/to/python3 …` names another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$name" -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { command -v "$$name"; break; }; done)

PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
INSTALL := $(PIP) install --require-hashes
# A file's tests share its servers, so that one worker has them all; and as many of them wait, there is one more than fuzz.
SPREAD := $(BIN)/pytest -n $$(($(WORKERS) + 1)) --dist loadfile --no-loadscope-reorder
INSTALL_SELF := $(PIP) install --no-deps --no-build-isolation --editable .

SERVERS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kata-audit/servers
LOKI := 3.7.8
OPENSEARCH := 2.19.1
TENZIR := 6.20.0
FLUENT_BIT := 4.2.2
ELASTICSEARCH := 7.10.2
KAFKA := 3.9.1
BUILT := $(SERVERS)/loki-$(LOKI)/loki
BUILT += $(SERVERS)/tenzir-$(TENZIR)/bin/tenzir $(SERVERS)/fluent-bit-$(FLUENT_BIT)/fluent-bit
BUILT += $(SERVERS)/opensearch-$(OPENSEARCH)/Node.class
BUILT += $(SERVERS)/elasticsearch-$(ELASTICSEARCH)/Node.class
BUILT += $(SERVERS)/kafka-$(KAFKA)/pom.xml
OTELCOL_CONTRIB := 0.155.0
VECTOR_VRL := 1.0.7
GOJA := 20250309
BUILT += $(SERVERS)/otelcol-contrib-$(OTELCOL_CONTRIB)/otelcol $(SERVERS)/vector-vrl-$(VECTOR_VRL)/bin/python $(SERVERS)/goja-$(GOJA)/goja
.DEFAULT_GOAL := help
.PHONY: help demo test check gates bench torture fuzz servers servers-all docs lock clean

help: ## say what each target does
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16

demo: $(VENV)/runtime.stamp ## show the product on a real capture
	@$(BIN)/kata-audit demo

test: gates ## every gate and every test
	$(SPREAD) -rs

check: gates ## linters, types, import contracts, architecture and docs tests
	$(SPREAD) tests/architecture tests/docs

gates: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src tests docs/generate
	$(BIN)/lint-imports --no-logo --no-cache

bench: $(VENV)/dev.stamp ## speeds as ratios, in one run
	$(BIN)/python tests/perf/bench.py
	$(BIN)/python tests/perf/detecting.py

fuzz: $(VENV)/dev.stamp ## FUZZ_SECONDS (30) for each parser, as many at a time as there are WORKERS (2)
	$(BIN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS) --workers $(WORKERS)

torture: $(VENV)/dev.stamp ## long fault, fuzz and volume runs; takes hours
	$(BIN)/pytest --torture --timeout 0 -rs
	$(MAKE) fuzz FUZZ_SECONDS=600
	$(BIN)/python tests/perf/volume.py
	$(BIN)/python tests/perf/collecting.py
	$(BIN)/python tests/perf/alerting.py
	$(BIN)/python tests/perf/exporting.py
	$(BIN)/python tests/perf/outage.py
	$(BIN)/python tests/perf/receiving.py

servers: ## install the real servers that tests use
	@test -x /usr/lib/systemd/systemd-journald || { apt-get update -q && apt-get install -q -y systemd; }
	@command -v prometheus-alertmanager >/dev/null || \
		{ apt-get update -q && apt-get install -q -y --no-install-recommends prometheus-alertmanager; }
	@command -v promtool >/dev/null || { apt-get update -q && apt-get install -q -y --no-install-recommends prometheus; }
	@$(MAKE) --no-print-directory $(SERVERS)/syslog/usr/sbin/syslog-ng

# Not installed: each of the two would put out the other, and whatever writes this machine's own log.
$(SERVERS)/syslog/usr/sbin/syslog-ng:
	folder=$(SERVERS)/syslog && rm -rf $$folder && mkdir -p $$folder/debs/partial && apt-get update -q && \
	for packages in "rsyslog rsyslog-gnutls rsyslog-openssl" syslog-ng-core; do \
		apt-get install -q -y --no-install-recommends --download-only -o Dir::Cache::archives=$$folder/debs/ $$packages || exit; \
	done && for package in $$folder/debs/*.deb; do dpkg -x $$package $$folder || exit; done

servers-all: servers $(BUILT) ## the same, and those that take long to build
	@command -v luajit >/dev/null && command -v ruby >/dev/null || \
		{ apt-get update -q && apt-get install -q -y --no-install-recommends luajit ruby; }

$(SERVERS)/loki-$(LOKI)/loki: tests/servers/loki/main.go tests/servers/loki/go.mod
	@command -v go >/dev/null || { echo "Loki is built with Go 1.26 or newer; it is not on the PATH."; exit 2; }
	rm -rf $(@D)/source && mkdir -p $(@D)/source && cp $^ $(@D)/source
	cd $(@D)/source && go mod download github.com/grafana/loki/v3@v$(LOKI) && \
		cp "$$(go list -mod=mod -m -f '{{.Dir}}' github.com/grafana/loki/v3)/go.sum" . && chmod u+w go.sum && \
		nice -n 19 env GOFLAGS="-p=1 -mod=mod" go build -ldflags "-s -w" -o ../loki .

# Fluent Bit comes as no package of its own; the engine of Tenzir holds one.
$(SERVERS)/tenzir-$(TENZIR)/bin/tenzir: | $(BIN)/python
	$(BIN)/python -m venv $(SERVERS)/tenzir-$(TENZIR)
	$(SERVERS)/tenzir-$(TENZIR)/bin/pip --disable-pip-version-check --no-input --quiet install tenzir==$(TENZIR)

$(SERVERS)/fluent-bit-$(FLUENT_BIT)/fluent-bit: tests/servers/fluent-bit/extract.py $(SERVERS)/tenzir-$(TENZIR)/bin/tenzir
	mkdir -p $(@D)
	$(BIN)/python $< $(SERVERS)/tenzir-$(TENZIR)/lib/python*/site-packages/tenzir/bundled/libexec/tenzir-engine $@

$(SERVERS)/opensearch-$(OPENSEARCH)/Node.class: tests/servers/opensearch/Node.java tests/servers/opensearch/pom.xml
$(SERVERS)/elasticsearch-$(ELASTICSEARCH)/Node.class: tests/servers/elasticsearch/Node.java tests/servers/elasticsearch/pom.xml

$(SERVERS)/%/Node.class:
	@command -v mvn >/dev/null || { echo "$* is fetched with Maven and run with Java 17; they are not on the PATH."; exit 2; }
	mvn -q -B -f $(filter %.xml,$^) dependency:copy-dependencies -DoutputDirectory=$(@D)/libs
	javac -cp "$(@D)/libs/*" -d $(@D) $(filter %.java,$^)

$(SERVERS)/kafka-$(KAFKA)/pom.xml: tests/servers/kafka/pom.xml
	@command -v mvn >/dev/null || { echo "Kafka is fetched with Maven and run with Java 17; they are not on the PATH."; exit 2; }
	mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=$(@D)/libs
	cp $< $@
# The builder writes sources and then tidies modules, which asks for those of their tests too and fails, as they are not all there.
$(SERVERS)/otelcol-contrib-$(OTELCOL_CONTRIB)/otelcol: tests/servers/otelcol-contrib/builder.yaml
	@command -v go >/dev/null || { echo "The OpenTelemetry Collector is built with Go 1.26 or newer; it is not on the PATH."; exit 2; }
	mkdir -p $(@D)
	GOBIN=$(@D) go install go.opentelemetry.io/collector/cmd/builder@v$(OTELCOL_CONTRIB)
	cd $(@D) && { ./builder --config $(CURDIR)/$< --skip-compilation >builder.log 2>&1 || test -f source/go.mod; }
	cd $(@D)/source && nice -n 19 env GOFLAGS="-p=1 -mod=mod" go build -ldflags "-s -w" -o ../otelcol .

$(SERVERS)/goja-$(GOJA)/goja: tests/servers/goja/main.go tests/servers/goja/go.mod
	@command -v go >/dev/null || { echo "goja is built with Go 1.26 or newer; it is not on the PATH."; exit 2; }
	mkdir -p $(@D)/source && cp $^ $(@D)/source
	cd $(@D)/source && nice -n 19 env GOFLAGS="-p=1 -mod=mod" go build -ldflags "-s -w" -o ../goja .

# Vector's language comes as a package for Python 3.12 and newer.
$(SERVERS)/vector-vrl-$(VECTOR_VRL)/bin/python:
	@for python in python3.14 python3.13 python3.12 python3 $$HOME/.pyenv/versions/3.1[2-9]*/bin/python3; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && "$$python" -m venv $(@D)/.. && break; \
	done; test -x $@ || { echo "vector-vrl needs Python 3.12 or newer, and none is on the PATH."; exit 2; }
	$@ -m pip --disable-pip-version-check --no-input --quiet install vector-vrl==$(VECTOR_VRL) || { rm -rf $(@D)/..; exit 1; }

docs: $(VENV)/dev.stamp ## write the generated pages anew
	$(BIN)/python docs/generate

lock: ## pin the newest packages that fit; needs uv, which is no dependency of ours
	@command -v uv >/dev/null || { echo "make lock needs uv on the PATH"; exit 2; }
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--upgrade pyproject.toml --group dev --output-file requirements/dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--constraint requirements/dev.txt pyproject.toml --output-file requirements/runtime.txt
	printf 'hatchling\neditables\n' | uv pip compile --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --constraint requirements/dev.txt - \
		--output-file requirements/build.txt

clean: ## forget the environment and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "kata-audit needs Python 3.11 or newer, and none is on the PATH. Install one, or name it: make PYTHON=/path/to/python3" >&2; \
		exit 2; fi
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' || { echo "kata-audit needs Python 3.11 or newer; $(PYTHON) is older." >&2; exit 2; }
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "This Python cannot make a virtual environment; on Debian and Ubuntu install the package python3-venv." >&2; exit 2; }

$(VENV)/runtime.stamp: requirements/runtime.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Setting up $(VENV): what the product needs"
	@$(INSTALL) -r requirements/runtime.txt -r requirements/build.txt
	@$(INSTALL_SELF)
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "Setting up $(VENV): what the product and its tests need"
	@$(INSTALL) -r requirements/dev.txt
	@$(INSTALL_SELF)
	@touch $@ $(VENV)/runtime.stamp
