#!/usr/bin/env bash
# Installs the distribution's packages that are missing, and those that are named; says nothing
# where all are there.
set -euo pipefail

packages=(
  # the build: libbpf, libelf and zlib are compiled from libbpf-sys
  gcc libc6-dev make pkg-config autoconf automake autopoint gettext flex bison gawk
  # the examples
  clang-19
  # the machines, their firmware, and a busybox for the benchmark
  qemu-system-x86 qemu-system-data busybox-static
  # downloads
  ca-certificates
  # what a target of its own needs
  "$@"
)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  printf 'error: install these packages, or their likes: %s\n' "${missing[*]}" >&2
  exit 1
fi
sudo=()
if [ "$(id -u)" != 0 ]; then
  sudo=(sudo)
fi
printf 'Installing %s\n' "${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
install() { "${sudo[@]}" apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" >/dev/null; }
# The lists may be absent, or older than the mirror.
if ! install 2>/dev/null; then
  "${sudo[@]}" apt-get update --quiet=2
  install
fi
