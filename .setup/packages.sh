#!/usr/bin/env bash
# Installs the distribution's packages that are missing; says nothing where all are there.
#
#   packages.sh [ARCH…] [PACKAGE…]     the architectures of guests (default: this host's), and
#                                      what a target of its own needs
set -euo pipefail

# `nix develop`: nix/shell.nix has what is needed.
[ -z "${IN_NIX_SHELL:-}" ] || exit 0

packages=(
  # the build: libbpf, libelf and zlib are compiled from libbpf-sys
  gcc libc6-dev make pkg-config autoconf automake autopoint gettext flex bison gawk
  # the examples
  clang-19
  # the machines, their firmware, and a busybox for the benchmark
  qemu-system-data busybox-static
  # downloads, and the keys of Debian's indices, which Ubuntu lacks
  ca-certificates debian-archive-keyring
)
arches=()
for name in "$@"; do
  case $name in
    x86_64 | aarch64 | riscv64) arches+=("$name") ;;
    *) packages+=("$name") ;;
  esac
done
for arch in "${arches[@]:-$(uname -m)}"; do
  case $arch in
    x86_64)
      packages+=(qemu-system-x86)
      compiler=(gcc-x86-64-linux-gnu libc6-dev-amd64-cross)
      ;;
    aarch64)
      packages+=(qemu-system-arm)
      compiler=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
      ;;
    riscv64)
      packages+=(qemu-system-misc)
      compiler=(gcc-riscv64-linux-gnu libc6-dev-riscv64-cross)
      ;;
  esac
  # The host's own compiler builds its own agent.
  [ "$arch" = "$(uname -m)" ] || packages+=("${compiler[@]}")
done

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
