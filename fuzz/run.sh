#!/bin/sh
# Runs every fuzz target for the given number of seconds (the default is 180). The examples of the
# documentation are the seeds. It needs a nightly toolchain and `cargo install cargo-fuzz`.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-180}

mkdir -p fuzz/corpus/manifest fuzz/corpus/frames fuzz/corpus/object fuzz/corpus/image
# Each fenced block of the page about manifests is a seed.
awk '/^```(toml|yaml)$/ { file = "fuzz/corpus/manifest/docs-" ++n; next }
     /^```$/ { if (file) close(file); file = "" }
     file { print > file }' docs/manifest.md
# These are a last frame of JSON (0xb2) with its length, and an acknowledgment (0xb4).
printf '\262\016\000\000{"say":"done"}\264\000\000\000' > fuzz/corpus/frames/done
printf '\262\062\000\000{"say":"progress","stage":"load","doing":"handle"}' > fuzz/corpus/frames/progress

# `make examples` and `make casebook-objects` leave objects that clang compiled.
find target/examples target/casebook-* -name '*.bpf.o' -size -64k -exec cp -t fuzz/corpus/object {} + 2>/dev/null || true
# These are the setup header of a bzImage, and the beginning of an ELF file.
printf 'MZ%0510d\125\252HdrS' 0 > fuzz/corpus/image/head
printf '\177ELF\002\001\001%057dLinux version 6.1.0-1 (' 0 > fuzz/corpus/image/elf

status=0
for target in manifest frames object image; do
  longest=8192
  [ "$target" = object ] && longest=65536
  set -- "-max_total_time=$seconds" "-max_len=$longest" -timeout=10 -rss_limit_mb=2048 \
    -print_final_stats=1
  [ -f "fuzz/$target.dict" ] && set -- "$@" "-dict=fuzz/$target.dict"
  cargo +nightly fuzz run "$target" -- "$@" || status=1
done
exit $status
