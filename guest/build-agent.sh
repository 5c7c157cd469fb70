#!/usr/bin/env bash
# Builds the static agent for ARCH and puts it beside the ukci executable as ukci-guest-ARCH.
set -euo pipefail
cd "$(dirname "$0")/.."

arch=${1:-x86_64}
case $arch in
  x86_64) target=x86_64-unknown-linux-gnu ;;
  aarch64) target=aarch64-unknown-linux-gnu ;;
  riscv64) target=riscv64gc-unknown-linux-gnu ;;
  *) printf 'error: no agent for `%s`\n\nhint: it is one of x86_64, aarch64, riscv64\n' "$arch" >&2; exit 64 ;;
esac
out=target/release/ukci-guest-$arch

# Either would silently replace the flags below, and with them crt-static. The agent's digest is in
# every report: it must not depend on whose home the crates lie in.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
sources=${CARGO_HOME:-$HOME/.cargo}/registry/src
flags="-C target-feature=+crt-static --remap-path-prefix=$sources=crates"
export "CARGO_TARGET_$(printf %s "$target" | tr 'a-z-' 'A-Z_')_RUSTFLAGS=$flags"
if [ "$arch" != "$(uname -m)" ]; then
  export "CARGO_TARGET_$(printf %s "$target" | tr 'a-z-' 'A-Z_')_LINKER=$arch-linux-gnu-gcc"
  RUSTC=$(.setup/cross-rust.sh "${XDG_CACHE_HOME:-$HOME/.cache}/ukci/cross-rust" "$target")
  export RUSTC
fi
if ! cargo build --quiet --package ukci-guest --bin ukci-guest --profile agent --target "$target" \
  --target-dir "target/guest-$arch"; then
  # libbpf-sys builds inside the registry, in its sources.
  printf '\nhint: a build that was killed can leave objects of another architecture there; remove %s\n' \
    "${CARGO_HOME:-$HOME/.cargo}/registry/src/*/libbpf-sys-*" >&2
  exit 1
fi
binary=target/guest-$arch/$target/agent/ukci-guest
if LC_ALL=C readelf --program-headers --wide "$binary" | grep -q INTERP; then
  printf 'error: %s is not static\n' "$binary" >&2
  exit 1
fi
mkdir -p "$(dirname "$out")"
cmp --silent "$binary" "$out" || install -m 755 "$binary" "$out"
