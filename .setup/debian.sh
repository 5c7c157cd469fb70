#!/usr/bin/env bash
# Downloads packages of Debian 13 in the versions that it has today, and unpacks each of them into
# DIR/<package>. Packages that are already there are not downloaded again. Nothing is printed on
# stdout.
#
# apt downloads and verifies them with its own keyring: the signed index of the suite has the digest
# of each package. The lists and sources are private, and no package of the host is changed.
set -euo pipefail

dir=${1:?usage: debian.sh DIR PACKAGE...}
shift
mkdir -p "$dir"
dir=$(readlink -f "$dir")
# Two tests, or two users of one cache, must not unpack at the same time.
exec 9>"$dir/.lock"
flock 9

missing=()
for package in "$@"; do
  # A package that is named twice is downloaded once.
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
  # Tests report the version of what they tested.
  basename "$scratch"/debs/*.deb .deb >"$scratch/$package/version"
  mv "$scratch/$package" "$dir/$package"
done
