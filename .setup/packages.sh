#!/usr/bin/env bash
# Installs the packages of the distribution that are missing. If none is missing, it prints nothing.
#
#   packages.sh [ARCH...] [PACKAGE...]
#
# ARCH is the architecture of a guest (the default is that of this host). PACKAGE is a package that
# is needed beside those of this script.
set -euo pipefail

# In `nix develop`, nix/shell.nix brings everything that is needed.
[ -z "${IN_NIX_SHELL:-}" ] || exit 0

packages=(
  # The build needs these, because libbpf-sys compiles libbpf, libelf and zlib.
  gcc libc6-dev make pkg-config autoconf automake autopoint gettext flex bison gawk
  # This compiles the examples.
  clang-19
  # The machines need this firmware, and the benchmark needs busybox.
  qemu-system-data busybox-static
  # Downloads need certificates, and Ubuntu does not have the keys of Debian's indices.
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
  # The agent for this host is built by the compiler of this host.
  [ "$arch" = "$(uname -m)" ] || packages+=("${compiler[@]}")
done

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  printf 'error: these packages, or similar ones, must be installed: %s\n' "${missing[*]}" >&2
  exit 1
fi
sudo=()
if [ "$(id -u)" != 0 ]; then
  sudo=(sudo)
fi
printf 'Installing %s\n' "${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
install() { "${sudo[@]}" apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" >/dev/null; }
# The package lists may be missing, or older than the mirror.
if ! install 2>/dev/null; then
  "${sudo[@]}" apt-get update --quiet=2
  install
fi
