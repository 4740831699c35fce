# The two commands of the README are `make demo` and `make test`; each does all its set-up, as root, with the
# distribution's packages and PyPI alone. Everything that is made lies under build/ and .venv/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# bcc is a module of the distribution's interpreter; another python3 first on PATH would not see it.
SYSTEM_PYTHON := /usr/bin/python3
PYTHON := .venv/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check -q

RUN_PACKAGES := python3-bpfcc python3-venv linux-libc-dev
TESTBED_PACKAGES := $(RUN_PACKAGES) iproute2 iptables procps util-linux
# Ubuntu has bpftool among the kernel's tools.
BPFTOOL := $(if $(filter ubuntu,$(shell . /etc/os-release && echo $$ID)),linux-tools-common linux-tools-generic,bpftool)
EVALUATION_PACKAGES := $(TESTBED_PACKAGES) tcpdump wrk
# Ubuntu has it as a snap alone.
BROWSER := $(if $(filter ubuntu,$(shell . /etc/os-release && echo $$ID)),,chromium chromium-driver)
TEST_PACKAGES := $(TESTBED_PACKAGES) binutils tcpdump ethtool $(BPFTOOL) qemu-system-x86 busybox-static cpio xz-utils kmod openssl wrk
# What runc links.
KUBERNETES_PACKAGES := libseccomp2
EVALUATION_PACKAGES += $(KUBERNETES_PACKAGES) busybox-static openssl

SOURCES := node_probe collector_plugin hopspan traceview testbed evaluation tests otel-config/images
C_FILES := $(wildcard bpf/*.c bpf/*.h bpf/shim/*/*.h)

.PHONY: help demo evaluation test test-here test-guests test-accounts bench-probe bench-plugin peers collector test-peers kubernetes test-kubernetes soak soak-claims fuzz
.PHONY: lint format pictures schemas clean

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make demo [OTLP=host:port]  20 requests through two nodes and their sidecars; shows one trace with the network inline
demo: build/setup-demo
	@$(PYTHON) -m testbed.demo --work-dir build/demo $(if $(OTLP),--otlp $(OTLP))

## make test                   all tests: format, lint, types, imports, units, kernel programs, testbed, other kernels
#                              (these beside the rest: their emulated machines keep little more than one core busy)
test: build/setup-test lint
	@$(MAKE) --no-print-directory -j 2 test-here test-guests

test-here: build/setup-test
	$(PYTHON) -m pytest -m "not peers and not kubernetes and not kernels"

# They give way, since the rest has the shorter deadlines; what they say is told in one piece.
test-guests: build/setup-test
	@setpriv --pdeathsig TERM nice $(PYTHON) -m pytest -m kernels tests/kernels >build/guests.log 2>&1 || failed=$$?; \
	cat build/guests.log; exit $${failed:-0}

## make test-peers             tests beside the real Collector, Jaeger, Zipkin and clients; needs what `make peers` needs
test-peers: build/setup-test peers
	$(call install_packages,$(BROWSER))
	$(PYTHON) -m pytest -m peers tests/peers

## make test-accounts          of these the paths and exchanges alone, each count compared with a capture to the last packet
test-accounts: build/setup-test
	$(PYTHON) -m pytest $(wildcard tests/testbed/test_paths*.py tests/testbed/test_exchanges*.py)

## make bench-probe            what the probe costs: build/bench/probe.json, and a table beside the targets
bench-probe: build/setup-test
	@$(PYTHON) -m tests.bench.probe --check --out build/bench/probe.json

## make bench-plugin           what the plugin costs, beside the Collector: build/bench/plugin.json, and a table
bench-plugin: build/setup-test collector
	@$(PYTHON) -m tests.bench.plugin --check --out build/bench/plugin.json

## make evaluation             the paper's questions: docs/evaluation/, its report and plots; QUICK=1
#                              measures less, ONLY=faults,... asks some of them, RENDER=1 writes report and plots anew
EVALUATION_OPTIONS = $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(RENDER),--render)
evaluation: build/setup-evaluation
	@$(PYTHON) -m evaluation $(EVALUATION_OPTIONS)

## make peers                  build or fetch the real Collector, Jaeger, Zipkin and clients, once a machine: minutes
#                              (needs Go 1.26, Java 17 and Maven, Node 20 and npm)
peers: collector
	@tests/peers/build_jaeger.sh >/dev/null
	@tests/peers/build_promtool.sh >/dev/null
	@tests/peers/fetch_zipkin.sh >/dev/null
	@for language in go java js; do tests/peers/build_clients.sh $$language >/dev/null; done

## make test-kubernetes        tests of the chart by Helm and on a real Kubernetes of two nodes; needs what `make kubernetes` needs
test-kubernetes: build/setup-test kubernetes
	$(call install_packages,$(KUBERNETES_PACKAGES))
	$(unpack_containerd)
	$(PYTHON) -m pytest -m kubernetes tests/kubernetes tests/otel_config

## make kubernetes             build Kubernetes, its name server, Helm, Jaeger and Collector, once a machine (needs Go 1.26)
kubernetes: collector
	@for program in kubernetes coredns helm jaeger; do tests/peers/build_$$program.sh >/dev/null; done

collector:
	@tests/peers/build_collector.sh >/dev/null

## make soak                   tests with random cases, a hundred times as many: hours
soak: build/setup-test
	HOPSPAN_SOAK=100 $(PYTHON) -m pytest --timeout 0 tests/kernel/test_search_oracle.py \
		tests/kernel/test_mutated_packets.py tests/kernel/test_tables.py tests/kernel/test_clean.py tests/kernel/test_kill.py \
		$(addprefix tests/kernel/test_http2_,oracle.py answers.py mutated.py foreign.py sampling.py) \
		tests/collector_plugin/test_join_flood.py

## make soak-claims            each hop of some 190,000 encrypted requests compared with its decrypted packet: 25 minutes;
#                              sets the machine's clock 20 ms ahead and back
soak-claims: build/setup-test
	HOPSPAN_SOAK=10 $(PYTHON) -m pytest -s --timeout 0 $(wildcard tests/testbed/test_claims_*.py)

## make fuzz                   the parsers of bytes from outside, guided by coverage, FUZZ_SECONDS (3600) each: hours
FUZZ_SECONDS ?= 3600
FUZZ_TARGETS := otlp-walk batch otlp-json zipkin-json zipkin-proto otlp-to-zipkin answers backend-answers kubernetes unpacking
fuzz: build/setup-test
	for target in $(FUZZ_TARGETS); do \
		$(PYTHON) -m tests.fuzz.run $$target build/fuzz/$$target -max_total_time=$(FUZZ_SECONDS); \
	done

## make lint                   format, lint, types and import contracts alone
lint: build/setup-test
	.venv/bin/ruff format --check $(SOURCES)
	.venv/bin/ruff check $(SOURCES)
	.venv/bin/clang-format --dry-run --Werror $(C_FILES)
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache --no-logo

## make format                 rewrite Python and C to the house's format
format: build/setup-test
	.venv/bin/ruff check --fix $(SOURCES)
	.venv/bin/ruff format $(SOURCES)
	.venv/bin/clang-format -i $(C_FILES)

## make pictures               the pictures of README and docs, from a run of the demo; needs what `make peers` needs
pictures: build/setup-test
	$(call install_packages,$(BROWSER))
	$(PYTHON) -m tests.pictures.make

## make schemas                write the JSON schemas of the configuration and docs/configuration-reference.md, from the code
schemas: build/setup-test
	$(PYTHON) -m tests.house.schemas

## make clean                  remove build/ and .venv/, and what a crashed testbed or cluster left
clean:
	@if [ -x $(PYTHON) ]; then for what in testbed testbed.kubernetes; do $(PYTHON) -m $$what down || true; done; fi
	@rm -rf build .venv

# Installs what is missing and touches the package lists only then, so a complete machine needs no network here.
define install_packages
	@missing=(); for name in $(1); do \
		[[ $$(dpkg-query -W -f='$${db:Status-Status}' $$name 2>/dev/null) == installed ]] || missing+=($$name); \
	done; \
	if (( $${#missing[@]} )); then \
		if (( $$(id -u) )); then echo "run as root: $${missing[*]} must be installed"; exit 1; fi; \
		echo "installing $${missing[*]}"; \
		apt-get update -q >/dev/null; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "$${missing[@]}" >/dev/null; \
	fi
endef

# Unpacked, not installed: Debian's package would start a server on port 80 of this machine.
define unpack_nginx
	@mkdir -p build/tools; cd build/tools; if [[ ! -x usr/sbin/nginx ]]; then \
		get() { apt-get download -q -o APT::Sandbox::User=root nginx >/dev/null 2>&1; }; \
		get || { apt-get update -q >/dev/null; get; }; \
		dpkg-deb -x nginx_*.deb .; rm nginx_*.deb; \
	fi
endef

# Unpacked for the same reason: an installed containerd is a service that is started.
define unpack_containerd
	@mkdir -p build/tools; cd build/tools; if [[ ! -x usr/bin/containerd || ! -x usr/sbin/runc ]]; then \
		get() { apt-get download -q -o APT::Sandbox::User=root containerd runc >/dev/null 2>&1; }; \
		get || { apt-get update -q >/dev/null; get; }; \
		for package in containerd runc; do dpkg-deb -x $${package}_*.deb .; rm $${package}_*.deb; done; \
	fi
endef

.venv/bin/python:
	$(call install_packages,$(RUN_PACKAGES))
	@$(SYSTEM_PYTHON) -m venv --system-site-packages .venv
	@$(PIP) install -c constraints.txt --upgrade pip

build/setup-demo: pyproject.toml constraints.txt | .venv/bin/python
	$(call install_packages,$(TESTBED_PACKAGES))
	@echo "installing Python packages into .venv"
	@$(PIP) install -c constraints.txt -e . --group testbed
	@mkdir -p build && touch $@

build/setup-evaluation: pyproject.toml constraints.txt | .venv/bin/python
	$(call install_packages,$(EVALUATION_PACKAGES))
	$(unpack_nginx)
	$(unpack_containerd)
	@echo "installing Python packages into .venv"
	@$(PIP) install -c constraints.txt -e . --group evaluation
	@mkdir -p build && touch $@

build/setup-test: pyproject.toml constraints.txt | .venv/bin/python
	$(call install_packages,$(TEST_PACKAGES))
	$(unpack_nginx)
	@echo "installing Python packages into .venv"
	@$(PIP) install -c constraints.txt -e . --group dev
	@mkdir -p build && touch $@
