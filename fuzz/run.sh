#!/bin/sh
# Runs the fuzz targets that are named, or all of them, one after another. Each ends after a number
# of seconds, or after ten million executions:
#
#   fuzz/run.sh [SECONDS [TARGET…]]          180 seconds is the default
#
# It needs the toolchain of the workspace and g++, which compiles libFuzzer: `make fuzz` installs
# them. The seeds are the examples of the documentation, what the tests keep, and what other targets
# of `make` have made. What is found is in fuzz/artifacts/TARGET, and fuzz/corpus grows with each run.
# To repeat a finding, give its file to the target: target/fuzz/HOST/release/TARGET FILE.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-180}
[ $# -gt 0 ] && shift
# Each name is a word.
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | grep -v '^ukci-fuzz$')

# The targets link what the workspace links.
cp Cargo.lock fuzz/Cargo.lock
host=$(rustc -vV | sed -n 's/^host: //p')
# These flags of the stable compiler instrument the crates for libFuzzer. With `--target`, build
# scripts and procedural macros are not instrumented. The readers have hardly any unsafe code, so
# there is no address sanitizer: it would need a nightly compiler, and is half as fast.
instrument='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4'
for flag in inline-8bit-counters pc-table trace-compares; do
  instrument="$instrument -Cllvm-args=-sanitizer-coverage-$flag"
done
RUSTFLAGS=$instrument cargo build --quiet --release --manifest-path fuzz/Cargo.toml \
  --target "$host" --target-dir target/fuzz

corpus=fuzz/corpus
for target in "$@"; do mkdir -p "$corpus/$target"; done
# Copies the files that there are into the corpus of a target that is wanted.
seed() {
  target=$1
  shift
  [ -d "$corpus/$target" ] || return 0
  for file in "$@"; do
    [ -f "$file" ] && [ "$(wc -c < "$file")" -le 65536 ] || continue
    cp "$file" "$corpus/$target/$(printf %s "$file" | tr / -)"
  done
}

# Each fenced block of the page about manifests is a seed.
if [ -d "$corpus/manifest" ]; then
  awk -v to="$corpus/manifest/docs-" '
    /^```(toml|yaml)/ { file = to (++n); next }
    /^```$/ { if (file) close(file); file = "" }
    file { print > file }' docs/manifest.md
fi
if [ -d "$corpus/frames" ]; then
  # These are a last frame of JSON (0xb2) with its length, and an acknowledgment (0xb4).
  printf '\262\016\000\000{"say":"done"}\264\000\000\000' > "$corpus/frames/done"
  printf '\262\062\000\000{"say":"progress","stage":"load","doing":"handle"}' > "$corpus/frames/progress"
fi
# `make examples` and `make casebook-objects` leave objects that clang compiled.
seed object target/examples/*.bpf.o target/casebook-*/*.bpf.o
seed module target/examples/*.bpf.o
if [ -d "$corpus/image" ]; then
  # These are the setup header of a bzImage, and the beginning of an ELF file.
  printf 'MZ%0510d\125\252HdrS' 0 > "$corpus/image/head"
  printf '\177ELF\002\001\001%057dLinux version 6.1.0-1 (' 0 > "$corpus/image/elf"
fi
seed matrix matrices/*.toml kernels/groups.toml kernels/streams.toml docs/examples/*.toml
seed document harness/judge/tests/evidence/*/*.json harness/tests/fixtures/*.json kernels/lock/*.json
seed judge harness/judge/tests/evidence/*/*.json
seed words harness/judge/tests/evidence/*/*.json docs/diagnoses.md
seed signature /usr/share/keyrings/debian-archive-*.gpg /usr/share/keyrings/debian-archive-*.asc
if [ -d "$corpus/index" ]; then
  # A list of packages of Debian, and one of repomd's.
  digest=$(printf '%064d' 0)
  printf 'Package: linux-image-6.1.0-1-amd64\nVersion: 6.1.1-1\nFilename: pool/l.deb\nSize: 1\nSHA256: %s\n\n' \
    "$digest" > "$corpus/index/deb"
  printf '<metadata packages="1"><package type="rpm"><name>kernel-core</name><arch>x86_64</arch><version epoch="0" ver="6.1" rel="1"/><checksum type="sha256" pkgid="YES">%s</checksum><size package="1"/><location href="k.rpm"/></package></metadata>' \
    "$digest" > "$corpus/index/primary"
  printf 'C:Q1abc=\nP:linux-virt\nV:6.1.1-r0\nA:x86_64\nS:1\n\n' > "$corpus/index/apk"
fi
if [ -d "$corpus/archive" ]; then
  printf '{"schema":"ukci.cache/1","files":{}}' > "$corpus/archive/cache.json"
  tar -cf "$corpus/archive/empty" -C "$corpus/archive" cache.json
fi
if [ -d "$corpus/package" ]; then
  # Packages as each family makes them, around a file of the kernel's.
  made=$(mktemp -d)
  mkdir -p "$made/boot"
  echo CONFIG_BPF=y > "$made/boot/config-6.1.0-1-amd64"
  tar -C "$made" -cf "$made/data.tar" ./boot
  echo 2.0 > "$made/debian-binary"
  (cd "$made" && ar rc package.deb debian-binary data.tar && gzip -k data.tar && xz -k data.tar)
  cp "$made/package.deb" "$corpus/package/deb"
  cp "$made/data.tar.gz" "$corpus/package/apk"
  cp "$made/data.tar.xz" "$corpus/package/pacman"
  rm -r "$made"
fi

# The errors of some crates capture a backtrace if they may, which takes longer than to read an input.
export RUST_LIB_BACKTRACE=0
status=0
printf '%-10s %12s %8s %9s %8s\n' target executions corpus features findings
for target in "$@"; do
  longest=8192
  case $target in object|module|package) longest=65536 ;; document) longest=32768 ;; esac
  artifacts=fuzz/artifacts/$target
  mkdir -p "$artifacts"
  set -- "-runs=10000000" "-max_total_time=$seconds" "-max_len=$longest" -timeout=10 \
    -rss_limit_mb=2048 -print_final_stats=1 "-artifact_prefix=$artifacts/"
  [ -f "fuzz/$target.dict" ] && set -- "$@" "-dict=fuzz/$target.dict"
  log=target/fuzz/$target.log
  ended=0
  "target/fuzz/$host/release/$target" "$@" "$corpus/$target" > "$log" 2>&1 || ended=$?
  count() { find "$1" -type f | wc -l; }
  printf '%-10s %12s %8s %9s %8s\n' "$target" \
    "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" "$(count "$corpus/$target")" \
    "$(sed -n 's/.* ft: \([0-9]*\) .*/\1/p' "$log" | tail -1)" "$(count "$artifacts")"
  if [ "$ended" -ne 0 ]; then
    grep -v '^#' "$log" | tail -40
    status=1
  fi
done
exit $status
