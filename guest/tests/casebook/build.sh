#!/usr/bin/env bash
# Compiles the casebook into OUTDIR, what changed of it, two at a time: build.sh OUTDIR
#
#   CLANG               the compiler                          (default clang-19)
#   ARCH                x86_64, aarch64 or riscv64            (default x86_64)
#   UKCI_BPF_INCLUDE    libbpf's headers, as .setup/headers.sh lays them out
#                       (default target/include of the workspace)
#
# A line `// clang: FLAGS` at the top of a source adds flags for it alone.
# Manifests are copied beside the objects, since their paths are relative to themselves.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
export here
out=${1:?usage: build.sh OUTDIR}
export CLANG=${CLANG:-clang-19} ARCH=${ARCH:-x86_64}
export UKCI_BPF_INCLUDE=${UKCI_BPF_INCLUDE:-$here/../../../target/include}
case $ARCH in
x86_64) export TARGET_ARCH=x86 ;;
aarch64) export TARGET_ARCH=arm64 ;;
riscv64) export TARGET_ARCH=riscv ;;
*) echo "build.sh: no such architecture: $ARCH" >&2 && exit 1 ;;
esac
[ -e "$UKCI_BPF_INCLUDE/bpf/bpf_helpers.h" ] || {
  echo "build.sh: no libbpf headers in $UKCI_BPF_INCLUDE (run .setup/headers.sh DIR)" >&2
  exit 1
}
UKCI_BPF_INCLUDE=$(cd "$UKCI_BPF_INCLUDE" && pwd)
mkdir -p "$out"
OUT=$(cd "$out" && pwd)
export OUT

# The compiler runs where the sources and the headers have the same relative paths on every machine:
# no path of this machine gets into an object, and clang finds the text of each source line, which
# the object keeps and evidence shows.
mkdir -p "$OUT/sources"
ln -sfn "$UKCI_BPF_INCLUDE" "$OUT/sources/include"
ln -sfn "$here"/*.h "$OUT/sources"

compile() {
  local name object flags
  name=$(basename "$1")
  object=$OUT/${name%.*}.o
  # The uapi <asm/…> headers are the build machine's: of what is used here they do not differ.
  flags=$(sed -n '1,10s,^// clang: ,,p' "$1")
  cd "$OUT/sources"
  ln -sfn "$1" "$name"
  # Written beside and renamed, so that a broken compile leaves no half object behind.
  # shellcheck disable=SC2086
  "$CLANG" -g -O2 -Wall -Werror -target bpf -D__TARGET_ARCH_$TARGET_ARCH \
    -ffile-compilation-dir=. -Iinclude -I"/usr/include/$(uname -m)-linux-gnu" $flags \
    -c "$name" -o "$object.new" && mv "$object.new" "$object"
}
export -f compile

stale() {
  local source object
  for source in "$here"/*.bpf.c; do
    object=$OUT/$(basename "${source%.*}").o
    [ "$object" -nt "$source" ] && [ "$object" -nt "$here/build.sh" ] || printf '%s\0' "$source"
  done
}

cp -u "$here"/*.manifest.toml "$OUT"
stale | xargs -0 -r -n 1 -P 2 bash -c 'compile "$1"' compile
