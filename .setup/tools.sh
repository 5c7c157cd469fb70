#!/usr/bin/env bash
# Builds vhost-device-vsock of rust-vmm and installs it into DIR, if it is not there yet. Without
# it, ukci uses virtio-serial ports.
set -euo pipefail

version=0.3.0
dir=${1:?usage: tools.sh DIR}

if command -v vhost-device-vsock >/dev/null || [ -x "$dir/bin/vhost-device-vsock" ]; then
  exit 0
fi
printf 'Building vhost-device-vsock %s\n' "$version" >&2
cargo install --quiet --locked --root "$dir" --version "$version" vhost-device-vsock
