#!/usr/bin/env bash
# Copies the headers of libbpf to DIR/bpf, and its UAPI headers to DIR/linux. They come from the
# source of the crate libbpf-sys in the version that Cargo.lock names.
set -euo pipefail

dir=${1:?usage: headers.sh DIR}
manifest=$(cargo metadata --format-version 1 --locked |
  grep --only-matching '"manifest_path":"[^"]*/libbpf-sys-[^"]*/Cargo.toml"' | head -1 | cut -d'"' -f4)
libbpf=$(dirname "$manifest")/libbpf
rm -rf "$dir/bpf" "$dir/linux"
mkdir -p "$dir/bpf" "$dir/linux"
cp "$libbpf"/src/*.h "$dir/bpf/"
cp "$libbpf"/include/uapi/linux/*.h "$dir/linux/"
