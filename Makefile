# Cutover. `make help` lists the targets. Each works on a fresh Debian machine with Rust, Python 3 and apt: what else is
# needed is installed here, once. As root, or with sudo.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo 'sudo -E')
CARGO_TARGET_DIR ?= target
export CARGO_TARGET_DIR
LAB_ARGS ?=
FUZZ_SECONDS ?= 60
# Generates from the templates, and checks them.
INFRA := PYTHONPATH=infra/tools $(PYTHON) -m infra_tools
CFN_GUARD_VERSION := 3.2.1

.PHONY: help setup build run soak test test-rust test-python check generate gate record fmt fuzz bench package deploy status destroy clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.ready run/.system-ready ## Install what the project needs (the other targets do it by themselves)

# The stamp is younger than the list of packages, or pip looks again.
$(VENV)/.ready: local-cloud/requirements.txt
	@command -v python3 >/dev/null || { echo 'python3 is missing: install Python 3.11 or newer' >&2; exit 1; }
	@echo 'Python environment in $(VENV): the emulator and the template checks'
	@python3 -m venv $(VENV) 2>/dev/null || { \
	  echo 'installing python3-venv'; \
	  $(SUDO) apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq python3-venv >/dev/null; \
	  rm -rf $(VENV); python3 -m venv $(VENV); }
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r local-cloud/requirements.txt
	@touch $@

# The stamp is younger than this file, or we look again.
run/.system-ready: Makefile
	@mkdir -p run
	@command -v cargo >/dev/null || { echo 'cargo is missing: install Rust 1.95 or newer (https://rustup.rs)' >&2; exit 1; }
	@missing=''; \
	[ -x /usr/sbin/mariadbd ] && command -v mariadb-install-db >/dev/null || missing="$$missing mariadb-server"; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || missing="$$missing postgresql"; \
	command -v openssl >/dev/null || missing="$$missing openssl"; \
	command -v valgrind >/dev/null || missing="$$missing valgrind"; \
	command -v cc >/dev/null || missing="$$missing build-essential"; \
	if [ -n "$$missing" ]; then \
	  echo "installing$$missing"; \
	  $(SUDO) apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi
	@touch $@

# What only the checks of the templates need. cfn-guard is built without optimization: it runs for seconds. checkov has an
# environment of its own, because it pins older packages than the local cloud has. Both at a time: one computes, one downloads.
run/tools/.ready-$(CFN_GUARD_VERSION): infra/tools/requirements-checkov.txt | setup
	@echo 'cfn-guard $(CFN_GUARD_VERSION) and checkov in run/tools, once'
	@mkdir -p run/tools
	@{ python3 -m venv --clear run/tools/checkov && \
	  run/tools/checkov/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps -r $<; } & checkov=$$!; \
	CARGO_TARGET_DIR=run/tools/build CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 \
	  cargo install --quiet --locked --debug --root run/tools --version $(CFN_GUARD_VERSION) cfn-guard || { kill $$checkov; exit 1; }; \
	rm -rf run/tools/build; wait $$checkov
	@touch $@

build: setup ## Build the functions and the command line
	cargo build --workspace --bins

run: build ## Run the lab: two cutovers of live payments, on this machine (LAB_ARGS='--rate 100' and the like)
	@$(CARGO_TARGET_DIR)/debug/cutover lab --binaries $(CARGO_TARGET_DIR)/debug $(LAB_ARGS)

soak: build ## 10,000 simulated switches over a failing cloud; then 200 payments a second for a minute, reconciled
	CUTOVER_SEEDS=10000 cargo test -p environment-switcher --test simulator no_rule -- --nocapture
	@$(CARGO_TARGET_DIR)/debug/cutover lab --binaries $(CARGO_TARGET_DIR)/debug --rate 200 --clients 32 --steady-seconds 60

check: setup run/tools/.ready-$(CFN_GUARD_VERSION) ## Format, lints, templates (rules, requirements, what is generated), Python
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	$(PYTHON) -m compileall -q local-cloud/cutover_cloud infra/deploy infra/tools/infra_tools
	$(PYTHON) docs/benchmarks/scale.py --check
	@$(INFRA) check

generate: setup ## Write what is generated from the templates: JSON, REQUIREMENTS.md, RESOURCES.md, the list of rules
	@$(INFRA) generate

# Two lanes, for most of the tests wait: the Rust tests, which are shown as they run, and beside them the Python tests and
# the gate, which are shown when they are done.
test: check build ## Everything that CI runs: checks, unit, property, model and end-to-end tests, what a payment costs
	@mkdir -p run
	@$(MAKE) test-python gate >run/test-python.log 2>&1 & beside=$$!; failed=0; \
	$(MAKE) test-rust || failed=1; \
	echo; echo 'Python tests and gate (run/test-python.log):'; wait $$beside || failed=1; tail -n 40 run/test-python.log; \
	[ $$failed = 0 ] || { echo; echo 'What failed:'; \
	  grep -hE '^test .* FAILED$$|^(FAILED|ERROR) ' run/test.log run/test-python.log || true; \
	  grep -A 4 -E "^thread '.*panicked at" run/test.log | grep -v '^{' | cut -c 1-400 | tail -n 20 || true; exit 1; }

test-rust: build
	@echo 'cargo test --workspace --no-fail-fast   (all of it, with the functions'"'"' own log lines, is in run/test.log)'
	@cargo test --workspace --no-fail-fast 2>&1 | tee run/test.log | grep --line-buffered -v '^{'

test-python: setup
	$(PYTHON) -m pytest -q local-cloud/tests
	$(PYTHON) -m pytest -q infra/tools/tests
	$(PYTHON) -m pytest -q infra/deploy/tests

# The function that ships, built alone, as for AWS: in the workspace's build it has the features of all its neighbours.
SHIPPED = $(CARGO_TARGET_DIR)/release/payment-validation

gate: build ## What a payment costs (instructions, calls, connections, bytes of the binary) beside the committed figures
	nice -n 10 cargo build --release --package payment-validation
	@$(CARGO_TARGET_DIR)/debug/speed-gate check $(SHIPPED)

record: build ## Commit to what a payment costs now: docs/benchmarks/gate.json
	cargo build --release --package payment-validation
	@$(CARGO_TARGET_DIR)/debug/speed-gate record $(SHIPPED)

fmt: ## Format the Rust code
	cargo fmt --all

fuzz: ## Run each fuzz target for FUZZ_SECONDS (60), on one core; needs a nightly compiler
	@rustup toolchain list | grep -q '^nightly' || { echo 'a nightly compiler is missing: rustup toolchain install nightly' >&2; exit 1; }
	@command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz
	@cd fuzz; for seeded in event:../events/payment-validation body:seeds/body money_card:seeds/money_card; do \
	  target=$${seeded%%:*}; mkdir -p corpus/$$target; \
	  env -u CARGO_TARGET_DIR nice -n 10 cargo +nightly fuzz run --sanitizer none -O $$target corpus/$$target $${seeded#*:} -- \
	    -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -dict=dictionary.txt -verbosity=0 -print_final_stats=1; \
	done

# Rows of each ledger that `make bench` compares; processes of each subject; where the reports go.
BENCH_ROWS ?= 1000000
BENCH_PROCESSES ?= 15
BENCH_OUT ?= run/bench
# Each is built alone, as for AWS: built together they would share features that one of them needs.
BENCHED := payment-validation environment-switcher secret-rotation cutover-bench

run/.bench-ready: Makefile
	@mkdir -p run
	@command -v pt-table-checksum >/dev/null || { \
	  echo 'installing percona-toolkit'; \
	  $(SUDO) apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends percona-toolkit >/dev/null; }
	@touch $@

bench: setup run/.bench-ready ## Payments beside Python, Node and the bare calls; a tick, a rotation, parity (BENCH_OUT=docs/benchmarks)
	@bench/peers/prepare.sh
	@for package in $(BENCHED); do cargo build --release -p $$package; done
	cargo build --workspace --example parity_bench
	@mkdir -p $(BENCH_OUT)
	@$(CARGO_TARGET_DIR)/release/cutover-bench --binaries $(CARGO_TARGET_DIR)/release --processes $(BENCH_PROCESSES) --out $(BENCH_OUT)
	@$(CARGO_TARGET_DIR)/debug/examples/parity_bench --rows $(BENCH_ROWS) --out $(BENCH_OUT)/parity.json
	cargo run --release --package cutover-bench --example pure -- --bench

# What the deployment tool is given of this file's variables; it says itself what each takes.
DEPLOY = PYTHONPATH=infra $(PYTHON) -m deploy --target-dir '$(CARGO_TARGET_DIR)'
ENVIRONMENT = --env '$(ENV)' --color '$(COLOR)' --suffix '$(SUFFIX)' --release '$(RELEASE)' --region '$(REGION)' \
  --role-arn '$(ROLE_ARN)' --set '$(SET)' --yes '$(YES)' --local '$(LOCAL)' --local-port '$(LOCAL_PORT)'

package: setup ## Zip files for AWS, ARCH=x86_64|arm64|all (all): cargo-lambda and zig come from PyPI
	@[ -x $(VENV)/bin/cargo-lambda ] || $(PYTHON) -m pip install --quiet --disable-pip-version-check -r infra/requirements-package.txt
	@$(DEPLOY) package --arch '$(ARCH)'

deploy: setup ## Deploy ENV=dev|staging|prod COLOR=blue|green [SUFFIX= RELEASE= REGION= ROLE_ARN= SET= YES=1], or here with LOCAL=1
	@[ -z '$(LOCAL)' ] || cargo build --quiet --workspace --bins
	@$(DEPLOY) deploy $(ENVIRONMENT)

status: setup ## Where the stack and the switch of ENV=... stand
	@$(DEPLOY) status $(ENVIRONMENT)

destroy: setup ## Delete ENV=dev|staging|prod with all that is in it, or what LOCAL=1 made
	@$(DEPLOY) destroy $(ENVIRONMENT)

clean: ## Remove everything that was built, installed into the project, or left by a run
	rm -rf $(CARGO_TARGET_DIR) $(VENV) run
