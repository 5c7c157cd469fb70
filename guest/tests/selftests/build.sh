#!/usr/bin/env bash
# Compiles the verifier selftests of Debian's linux-source-6.12 into DIR, for `make selftests`:
# DIR/<test>.bpf.o, DIR/not-compiled (a name a line) and DIR/testmod (what bpf_testmod defines).
#
# Nothing of it is kept in the tree. The flags are those of the selftests' own Makefile.
set -euo pipefail
cd "$(dirname "$0")/../../.."

dir=${1:?usage: build.sh DIR CACHE VMLINUX}
cache=${2:?usage: build.sh DIR CACHE VMLINUX}
vmlinux=${3:?usage: build.sh DIR CACHE VMLINUX}
package=linux-source-6.12
clang=${CLANG:-clang-19}

bpftool=$(.setup/bpftool.sh)
.setup/debian.sh "$cache" "$package"
if cmp --silent "$cache/$package/version" "$dir/version"; then
  exit 0
fi
rm -rf "$dir"
mkdir -p "$dir/src" "$dir/include"
printf 'Unpacking the selftests of %s\n' "$(cat "$cache/$package/version")" >&2
tar --extract --file "$cache/$package/usr/src/$package.tar.xz" --directory "$dir/src" \
  --strip-components=1 --wildcards '*/tools/testing/selftests/bpf' '*/tools/include'
selftests=$dir/src/tools/testing/selftests/bpf
# `?` keeps libbpf from loading a program unless it is asked to; all of them are to be judged.
sed --in-place 's/SEC("?/SEC("/' "$selftests"/progs/verifier_*.c
"$bpftool" btf dump file "$vmlinux" format c >"$dir/include/vmlinux.h"
# Kfuncs and hooks that only the selftests' own module has.
grep --only-matching --no-filename --extended-regexp '\b(bpf_testmod|bpf_kfunc|bpf_iter_testmod)\w*' \
  "$selftests"/bpf_testmod/*.[ch] | sort --unique >"$dir/testmod"

: >"$dir/not-compiled"
resources=$("$clang" -print-resource-dir)
for source in "$selftests"/progs/verifier_*.c; do
  name=$(basename "$source" .c)
  "$clang" --target=bpf -mcpu=v3 -O2 -g -std=gnu11 -fno-strict-aliasing -Wall -Wno-unused \
    -Wno-compare-distinct-pointer-types -D__TARGET_ARCH_x86 -DENABLE_ATOMICS_TESTS \
    -I"$dir/include" -I"$selftests" -I"$selftests/progs" -Itarget/include \
    -I"$dir/src/tools/include/uapi" -idirafter "$resources/include" \
    -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include \
    -c "$source" -o "$dir/$name.bpf.o" 2>"$dir/$name.err" || printf '%s\n' "$name" >>"$dir/not-compiled"
done
cp "$cache/$package/version" "$dir/version"
