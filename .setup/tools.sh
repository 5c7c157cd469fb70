#!/usr/bin/env bash
# Builds vhost-device-vsock of rust-vmm and installs it into DIR, if it is not there yet. Without
# it, ukci uses virtio-serial ports.
set -euo pipefail

version=0.3.0
dir=${1:?usage: tools.sh DIR}

program=$dir/bin/vhost-device-vsock

# ukci runs it only as long as it is the file that was built here.
record() {
  sha256sum "$program" | cut -d ' ' -f 1 >"$program.sha256"
}

if command -v vhost-device-vsock >/dev/null; then
  exit 0
fi
if [ -x "$program" ]; then
  [ -f "$program.sha256" ] || record
  exit 0
fi
printf 'Building vhost-device-vsock %s\n' "$version" >&2
cargo install --quiet --locked --root "$dir" --version "$version" vhost-device-vsock
record
