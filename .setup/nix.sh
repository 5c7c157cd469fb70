#!/usr/bin/env bash
# Installs Debian's Nix if there is no Nix. Only `make nix-check` needs it.
set -euo pipefail

command -v nix >/dev/null && exit 0
if ! command -v apt-get >/dev/null; then
  printf 'error: install Nix 2.8 or newer\n' >&2
  exit 1
fi
sudo=()
if [ "$(id -u)" != 0 ]; then
  sudo=(sudo)
fi
printf 'Installing nix-bin\n' >&2
export DEBIAN_FRONTEND=noninteractive
install() { "${sudo[@]}" apt-get install --yes --quiet=2 --no-install-recommends nix-bin >/dev/null; }
if ! install 2>/dev/null; then
  "${sudo[@]}" apt-get update --quiet=2
  install
fi
