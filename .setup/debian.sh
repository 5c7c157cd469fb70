#!/usr/bin/env bash
# Fetches packages of Debian 13, whichever versions it has today, and unpacks each below
# DIR/<package>; quick the second time. Prints nothing on stdout.
#
# apt does it, with its own keyring: the suite's signed index names each package's digest. The
# lists and sources are private; no package of the host is touched.
set -euo pipefail

dir=${1:?usage: debian.sh DIR PACKAGE...}
shift
mkdir -p "$dir"
dir=$(readlink -f "$dir")
# Two tests, or two users of one cache, must not unpack at once.
exec 9>"$dir/.lock"
flock 9

missing=()
for package in "$@"; do
  # Whatever is named twice is fetched once.
  [ -d "$dir/$package" ] || [[ " ${missing[*]} " == *" $package "* ]] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

mirror=$("$(dirname "$0")/mirror.sh")
printf 'Fetching %s from Debian 13\n' "${missing[*]}" >&2
scratch=$(mktemp -d "$dir/.fetch-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch"/{lists/partial,archives/partial,parts,debs}
: >"$scratch/status"
cat >"$scratch/parts/trixie.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: trixie
Components: main
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
options=(
  --quiet=2
  -oDir::Etc::SourceList=/dev/null -oDir::Etc::SourceParts="$scratch/parts"
  -oDir::State="$scratch" -oDir::State::Lists="$scratch/lists" -oDir::State::status="$scratch/status"
  -oDir::Cache="$scratch" -oAPT::Architecture=amd64 -oAPT::Architectures=amd64
  -oAPT::Sandbox::User=root -oAcquire::Languages=none -oAPT::Update::Post-Invoke-Success::=
  -oAcquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
)
apt-get "${options[@]}" update
for package in "${missing[@]}"; do
  rm -rf "$scratch"/debs/*
  (cd "$scratch/debs" && apt-get "${options[@]}" download "$package")
  mkdir "$scratch/$package"
  dpkg-deb --extract "$scratch"/debs/*.deb "$scratch/$package"
  # What was tested is told by name and version.
  basename "$scratch"/debs/*.deb .deb >"$scratch/$package/version"
  mv "$scratch/$package" "$dir/$package"
done
