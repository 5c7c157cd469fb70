#!/bin/sh
# Runs every fuzz target for so many seconds (180), seeded with the documentation's examples.
# Needs a nightly toolchain and `cargo install cargo-fuzz`.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-180}

mkdir -p fuzz/corpus/manifest fuzz/corpus/frames
# Each fenced block of the documentation is a seed.
awk '/^```(toml|yaml)$/ { file = "fuzz/corpus/manifest/docs-" ++n; next }
     /^```$/ { if (file) close(file); file = "" }
     file { print > file }' docs/manifest.md
# A last frame of JSON (0xb2) with its length, then an acknowledgement (0xb4).
printf '\262\016\000\000{"say":"done"}\264\000\000\000' > fuzz/corpus/frames/done
printf '\262\062\000\000{"say":"progress","stage":"load","doing":"handle"}' > fuzz/corpus/frames/progress

status=0
for target in manifest frames; do
  cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -max_len=8192 -timeout=10 \
    -rss_limit_mb=1024 -print_final_stats=1 -dict="fuzz/$target.dict" || status=1
done
exit $status
