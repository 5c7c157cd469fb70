#!/usr/bin/env bash
# Prints the path of a rustc that has std for TARGET, also on hosts where rustup cannot download it.
#
# The script tries the installed toolchain first, and then `rustup target add`. At last it unpacks
# the package rustc-web of Debian 13 below DIR. Debian has libstd for amd64, arm64 and riscv64 in
# the same version as this rustc. It runs with its own ld.so, and no package of the host is changed.
set -euo pipefail

dir=${1:?usage: cross-rust.sh DIR TARGET}
target=${2:?usage: cross-rust.sh DIR TARGET}

has_std() {
  local libdir
  libdir=$("$1" --print target-libdir --target "$target" 2>/dev/null) &&
    compgen -G "$libdir/libstd-*.rlib" >/dev/null
}

if has_std rustc; then
  command -v rustc
  exit 0
fi
if command -v rustup >/dev/null && rustup target add "$target" >/dev/null 2>&1 && has_std rustc; then
  command -v rustc
  exit 0
fi
if [ -x "$dir/rustc" ] && has_std "$dir/rustc"; then
  printf '%s\n' "$dir/rustc"
  exit 0
fi

printf 'Fetching Rust for arm64 and riscv64 from Debian 13\n' >&2
rm -rf "$dir"
mkdir -p "$dir"/{lists/partial,archives/partial,parts,debs,root}
dir=$(readlink -f "$dir")
: >"$dir/status"

mirror=$("$(dirname "$0")/mirror.sh")
cat >"$dir/parts/trixie.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: trixie
Components: main
Architectures: amd64 arm64 riscv64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES

options=(
  --quiet=2
  -oDir::Etc::SourceList=/dev/null -oDir::Etc::SourceParts="$dir/parts"
  -oDir::State="$dir" -oDir::State::Lists="$dir/lists" -oDir::State::status="$dir/status"
  -oDir::Cache="$dir" -oAPT::Architecture=amd64 -oAPT::Sandbox::User=root
  -oAcquire::Languages=none -oAPT::Update::Post-Invoke-Success::=
  -oAcquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
  -oAPT::Architectures::=amd64 -oAPT::Architectures::=arm64 -oAPT::Architectures::=riscv64
)
apt-get "${options[@]}" update
field() { apt-cache "${options[@]}" show "$1" | sed -n "s/^$2: //p" | head -1; }
version=$(field rustc-web:amd64 Version)
std=$(field "libstd-rust-web-dev:amd64=$version" Depends | grep -o 'libstd-rust-web-[0-9.]*' | head -1)
llvm=$(field "$std:amd64=$version" Depends | grep -o 'libllvm[0-9]*' | head -1)
packages=("rustc-web:amd64=$version" "$std:amd64=$version" "$llvm:amd64")
for arch in amd64 arm64 riscv64; do
  packages+=("libstd-rust-web-dev:$arch=$version")
done
# The libraries that rustc and LLVM load at run time.
for package in libc6 libgcc-s1 libstdc++6 zlib1g libzstd1 libxml2 libicu76 liblzma5 libedit2 \
  libtinfo6 libbsd0 libmd0 libffi8 libz3-4; do
  packages+=("$package:amd64")
done
(cd "$dir/debs" && apt-get "${options[@]}" download "${packages[@]}")
for deb in "$dir"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" |
    tar --extract --directory "$dir/root" --keep-directory-symlink \
      --exclude './usr/share/*' --exclude './etc/*'
done
rm -rf "$dir"/{debs,lists,archives,parts}

cat >"$dir/rustc" <<'WRAPPER'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")/root/usr
libs=$here/lib/x86_64-linux-gnu
exec "$libs/ld-linux-x86-64.so.2" --library-path "$libs" "$here/bin/rustc" --sysroot "$here" "$@"
WRAPPER
chmod +x "$dir/rustc"
has_std "$dir/rustc" || { printf 'error: the fetched rustc has no std for %s\n' "$target" >&2; exit 1; }
printf '%s\n' "$dir/rustc"
