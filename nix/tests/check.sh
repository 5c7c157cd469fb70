#!/usr/bin/env bash
# Tests the flake without nixpkgs, the network or KVM. A stub of nixpkgs (`stub/`) has the programs
# of this host. With it, every output is evaluated, and kernels, plans and cells are built. The
# cells boot in the sandbox of Nix under TCG. docs/nix.md says what can only be tested with nixpkgs.
#
#   check.sh UKCI AGENT CLANG
set -euo pipefail

# Without its daemon, Nix needs root to make its sandbox.
[ "$(id -u)" = 0 ] || exec sudo --preserve-env=PATH,HOME,XDG_CACHE_HOME "$0" "$@"

ukci=$(readlink -f "${1:?usage: check.sh UKCI AGENT CLANG}")
agent=$(readlink -f "${2:?}")
clang=$(readlink -f "$(command -v "${3:?}")")
vsock=$(command -v vhost-device-vsock || true)
root=$(readlink -f "$(dirname "$0")/../..")
work=$root/target/nix-check
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ukci
system=x86_64-linux

step() { printf '%12s %s\n' "$(printf '%ds' $((SECONDS)))" "$1" >&2; }
fail() {
  printf 'error: %s\n' "$1" >&2
  exit 1
}

# --- Nix gets settings of its own: no substituter, and a strict sandbox that sees this host's
# programs.
rm -rf "$work"
mkdir -p "$work/conf" "$work/home"
cat >"$work/conf/nix.conf" <<CONF
experimental-features = nix-command flakes
build-users-group =
substituters =
sandbox = true
sandbox-fallback = false
extra-sandbox-paths = /usr /lib /lib64 /bin /etc/ld.so.cache
warn-dirty = false
max-jobs = auto
allow-import-from-derivation = false
CONF
home=$HOME
export NIX_CONF_DIR=$work/conf HOME=$work/home

# --- The stub, and a copy of the tree without build results.
stub=$work/stub
mkdir -p "$stub"
cp "$root"/nix/tests/stub/*.nix "$stub"
prebuilt=$stub/prebuilt
mkdir -p "$prebuilt"/{busybox,makeWrapper,ukci-unwrapped,qemu,vhost-device-vsock,clang}/bin
cp "$root/nix/tests/stub/makeWrapper" "$prebuilt/makeWrapper/bin/"
cp "$(command -v busybox)" "$prebuilt/busybox/bin/"
for applet in $("$prebuilt/busybox/bin/busybox" --list); do
  [ "$applet" = busybox ] || ln -s busybox "$prebuilt/busybox/bin/$applet"
done
cp "$ukci" "$prebuilt/ukci-unwrapped/bin/ukci"
# Most of the tool is debug information, and every build that uses the tool copies it.
strip --strip-debug "$prebuilt/ukci-unwrapped/bin/ukci"
for arch in x86_64 aarch64 riscv64; do
  mkdir -p "$prebuilt/ukci-guest-$arch/bin"
  # The tool is wrapped with all agents. Those that this host has not built are never run.
  cp "${agent%x86_64}$arch" "$prebuilt/ukci-guest-$arch/bin/ukci-guest" 2>/dev/null ||
    echo 'this host has not built the agent' >"$prebuilt/ukci-guest-$arch/bin/ukci-guest"
done
cmp "$agent" "$prebuilt/ukci-guest-x86_64/bin/ukci-guest"
for arch in x86_64 aarch64 riscv64; do
  qemu=$(command -v "qemu-system-$arch") && ln -s "$qemu" "$prebuilt/qemu/bin/"
done
[ -z "$vsock" ] || cp "$vsock" "$prebuilt/vhost-device-vsock/bin/"
cat >"$prebuilt/clang/bin/clang" <<CLANG
#!/bin/sh
exec $clang -resource-dir=/nowhere "\$@"
CLANG
chmod +x "$prebuilt/clang/bin/clang"
for major in 18 19 20 21 22; do
  mkdir -p "$prebuilt/clang-lib/lib/clang/$major"
  ln -s "$("$clang" -print-resource-dir)/include" "$prebuilt/clang-lib/lib/clang/$major/"
done
mkdir -p "$prebuilt/debian-archive-keyring/share/keyrings"
cp /usr/share/keyrings/debian-archive-* "$prebuilt/debian-archive-keyring/share/keyrings/" || true
mkdir -p "$prebuilt/libbpf/include" "$prebuilt/linuxHeaders/include"
cp -R "$root/target/include/bpf" "$prebuilt/libbpf/include/"
cp -R "$root/target/include/linux" "$prebuilt/libbpf/include/"
ln -s /usr/include/x86_64-linux-gnu/asm /usr/include/asm-generic /usr/include/linux \
  "$prebuilt/linuxHeaders/include/"

tree() {
  mkdir -p "$1"
  tar --create --directory "$root" --exclude ./target --exclude ./.git --exclude ./ukci-out \
    --exclude ./fuzz/target . | tar --extract --directory "$1"
}
tree "$work/tree"

# --- The packages that ukci has downloaded are put into the Nix store, which finds a file by its
# digest.
kernel=debian-12-6.1-cloud
kernel_riscv64=debian-13-6.12
pinned=$(nix-instantiate --eval --strict --json --expr "
  let
    lock = builtins.fromJSON (builtins.readFile $root/kernels/lock.json);
    storeName = import $root/nix/storeName.nix;
    quick = (import $root/nix/readMatrix.nix $root/matrices/quick.toml).matrix;
    named = builtins.concatMap (product: product.kernels) quick.cells;
    keys = map (name: \"\${name}/x86_64\") named ++ [ \"$kernel/aarch64\" \"$kernel_riscv64/riscv64\" ];
    key = kernel: \"\${kernel.name}/\${kernel.arch}\";
    wanted = builtins.filter (kernel: builtins.elem (key kernel) keys) lock.kernels;
  in map (kernel: map (p: \"\${p.sha256} \${storeName (baseNameOf p.path)} \${key kernel}\") kernel.packages) wanted
" | tr -d '[]"' | tr ',' '\n')
while read -r sha256 name of; do
  [ -e "$cache/packages/$sha256.deb" ] || continue
  if [ "$of" = "$kernel/x86_64" ]; then
    cp "$cache/packages/$sha256.deb" "$prebuilt/kernel.deb"
    printf %s "$name" | sed 's/linux-image-\([^_]*\)_.*/\1/' >"$prebuilt/kernel.release"
  fi
  mkdir -p "$work/seed"
  echo "$sha256 $name $of" >>"$work/seeded"
  cp "$cache/packages/$sha256.deb" "$work/seed/$name"
  nix-store --add-fixed sha256 "$work/seed/$name" >/dev/null
  rm "$work/seed/$name"
done <<<"$pinned"
[ -e "$prebuilt/kernel.deb" ] || fail "\`$kernel\` has not been downloaded: run \`ukci kernels fetch --matrix quick\`"

stubbed=(--override-input nixpkgs "path:$stub" --no-update-lock-file --no-write-lock-file)
flake() { # flake ARGUMENT…: nix, with the stub for nixpkgs
  nix "$@" "${stubbed[@]}" \
    2> >(grep --invert-match --extended-regexp \
      "^warning: not writing modified lock|^• Updated input 'nixpkgs'|^    'github:NixOS|^  → 'path:" >&2)
}
build() { # build TREE ATTRIBUTE…: the paths of what was built
  local tree=$1
  shift
  flake build --no-link --json --print-build-logs "${@/#/path:$tree#}" |
    grep --only-matching '"out":"[^"]*"' | cut -d'"' -f4
}
derivations() { # derivations TREE: one line a cell
  flake eval --raw "path:$1#legacyPackages.$system.cells" \
    --apply "$(cat "$root/nix/tests/derivations.nix")"
}
changed() { # changed OLD NEW: the cells of two lists whose derivations differ
  comm -3 <(sort "$1") <(sort "$2") | awk '{ print $1, $2 }' | sort --unique
}

step 'flake.lock has everything that flake.nix needs'
nix flake metadata --no-update-lock-file --json "path:$work/tree" | grep -q '"narHash"' ||
  fail 'flake.lock lacks what flake.nix needs'

step 'every output evaluates'
flake flake check --no-build "path:$work/tree" 2>&1 | tee "$work/evaluation.log" | grep -i '^error' >&2 || true
grep -q '^error' "$work/evaluation.log" && fail 'the messages above say what does not evaluate'
flake eval --json "path:$work/tree#devShells.$system.default.drvPath" >/dev/null

step 'a copy of the tree gives the same derivations'
derivations "$work/tree" >"$work/cells"
cp -R "$work/tree" "$work/other"
derivations "$work/other" | cmp - "$work/cells" || fail 'derivations depend on where the tree lies'
printf '%12s %d cells\n' '' "$(wc -l <"$work/cells")" >&2

step 'a changed object or kernel changes only its own cells'
echo '// changed' >>"$work/other/docs/examples/ringbuf.bpf.c"
derivations "$work/other" >"$work/cells.object"
changed "$work/cells" "$work/cells.object" >"$work/changed"
diff <(awk '$2 ~ /^ringbuf-/ { print $1, $2 }' "$work/cells" | sort) "$work/changed" ||
  fail 'another object changes the derivations of other cells'
cp "$work/tree/docs/examples/ringbuf.bpf.c" "$work/other/docs/examples/"
sha256=$(printf other | sha256sum | cut -d' ' -f1)
now=$(awk -v name="\"$kernel\"" '$0 ~ "\"name\": " name { on = 1 } on && /"sha256"/ { print; exit }' \
  "$work/tree/kernels/lock.json" | cut -d'"' -f4)
sed --in-place "s/$now/$sha256/" "$work/other/kernels/lock.json"
derivations "$work/other" >"$work/cells.kernel"
changed "$work/cells" "$work/cells.kernel" >"$work/changed"
diff <(awk -v kernel="-${kernel//./_}-x86_64" 'index($2, kernel) { print $1, $2 }' "$work/cells" | sort) \
  "$work/changed" || fail 'another kernel changes the derivations of other cells'
cp "$work/tree/kernels/lock.json" "$work/other/kernels/"

step 'Nix and the tool make the same plan of the quick matrix: every file has the same digest'
build "$work/tree" packages.$system.plan-quick packages.$system.examples >"$work/built"
plan=$(grep 'plan-quick' "$work/built")
examples=$(grep -- '-examples$' "$work/built")
(cd "$work" && HOME=$home UKCI_AGENT_X86_64=$prebuilt/ukci-guest-x86_64/bin/ukci-guest \
  "$ukci" plan "$examples"/*.bpf.o --matrix quick --out native.json)
digests() { grep --extended-regexp '"(sha256|release|linux-image[^"]*|kernel|artifact)":' "$1" | sort; }
diff <(digests "$work/native.json") <(digests "$plan") || fail 'the plans differ'
printf '%12s %d digests\n' '' "$(grep -c '"sha256"' "$plan")" >&2

step "a kernel with the file layout of nixpkgs gives the same boot files as the locked kernel"
mapfile -t built < <(build "$work/tree" packages.$system.{"initramfs-${kernel//./_}",initramfs-mainline-lts})
[ ${#built[@]} = 2 ] && cmp "${built[@]}" || fail 'the initramfs files differ'

step 'Nix and the tool expand every matrix to the same cells'
matrices=("$root"/matrices/*.toml)
names=("${matrices[@]##*/}")
names=("${names[@]%.toml}")
build "$work/tree" "${names[@]/#/checks.$system.agreement-}" >/dev/null

step 'cells boot in the sandbox: an object that every kernel accepts, and one that every kernel refuses'
build "$work/tree" checks.$system.smoke >/dev/null
refused=legacyPackages.$system.cells.quick.unchecked_deref-${kernel//./_}-x86_64
cell=$(build "$work/tree" "$refused")
[ "$(cat "$cell/status")" = 2 ] || fail "the status of a refused object is not 2: $cell"
grep -q '"code": "VERIFIER_REJECTION"' "$cell/report.json" || fail "the report has no reason: $cell"
# The report quotes the refused line of the source that Nix compiled.
grep -qF '"text": "*count += 1;"' "$cell/report.json" || fail "the report has no source line: $cell"

step 'the whole quick matrix is one report, failed cells included'
quick=$(build "$work/tree" packages.$system.matrix-quick 2>"$work/quick.log") || {
  cat "$work/quick.log" >&2
  fail 'there is no report'
}
said() { # said REPORT OUTCOME: the cells of that outcome, named as attributes
  awk -F'"' -v wanted="$2" '$2 == "id" { id = $4 } $2 == "outcome" && $4 == wanted { print id }' \
    "$1/report.json" | tr '/.' '-_' | sort
}
mkdir "$work/reports"
cp "$quick/report.json" "$work/reports/quick.json"
failed=$(said "$quick" fail)
passed=$(said "$quick" pass | wc -l)
[ "$passed" -gt 0 ] && [ -n "$failed" ] || fail "the report must have failed and passed cells: $quick"
[ $(($(wc -l <<<"$failed") + passed)) = "$(grep --count '^quick ' "$work/cells")" ] ||
  fail "cells are missing or have another outcome: $quick"
[ -s "$quick/report.html" ] && [ -s "$quick/report.md" ] && [ -s "$quick/junit.xml" ] ||
  fail "a rendering is missing: $quick"
printf '%12s %d passed, %d failed\n' '' "$passed" "$(wc -l <<<"$failed")" >&2

step 'the gate of the matrix fails, and names the failed cells and no others'
build "$work/tree" legacyPackages.$system.gates.quick 2>"$work/gate.log" && fail 'a gate let failed cells through'
unmet() { sed --quiet 's/^.*> \([^ ]*-x86_64[^ ]*\)$/\1/p' "$work/gate.log" | sort --unique; }
diff <(unmet) - <<<"$failed" || {
  cat "$work/gate.log" >&2
  fail 'the gate names other cells'
}

step 'the app that checks has one agent, so it needs no cross compilers for the others'
app() { # app NAME: the agents that an app needs
  local derivation
  derivation=$(flake eval --raw "path:$work/tree#apps.$system.$1.program" \
    --apply 'program: builtins.head (builtins.attrNames (builtins.getContext program))')
  nix-store --query --requisites "$derivation" | sed -n 's/.*-ukci-guest-\([a-z0-9_]*\)-.*\.drv$/\1/p'
}
[ "$(app check)" = x86_64 ] || fail "the app \`check\` needs the agents $(app check)"
[ "$(app check-riscv64)" = riscv64 ] || fail "\`check-riscv64\` needs the agents $(app check-riscv64)"

step 'cells of other architectures pass, if this host has their agents and kernels'
for cell in "$kernel aarch64" "$kernel_riscv64 riscv64"; do
  read -r name arch <<<"$cell"
  if [ ! -e "${agent%x86_64}$arch" ] || [ ! -e "$prebuilt/qemu/bin/qemu-system-$arch" ] ||
    ! grep -q " $name/$arch$" "$work/seeded"; then
    printf '%12s skipped %s: to test it, run `make agent kernels ARCHES=%s MATRIX=archs`\n' '' "$arch" "$arch" >&2
    continue
  fi
  foreign=$(build "$work/tree" "legacyPackages.$system.cells.archs.ringbuf-${name//./_}-$arch")
  [ "$(cat "$foreign/status")" = 0 ] || fail "the cell does not pass: $foreign"
done

step 'a cell without a verdict is not cached'
cases="import $work/tree/nix/tests/cases.nix { root = $work/tree; pkgs = import $stub/pkgs.nix \"$system\"; }"
nix build --no-link --impure --print-build-logs --expr "($cases).unsure" 2>"$work/unsure.log" &&
  fail 'a cell whose QEMU does not run was built'
grep -q 'there is no verdict' "$work/unsure.log" || {
  cat "$work/unsure.log" >&2
  fail 'the cell failed for a different reason'
}

step '`nix run .#check` runs an object, and takes the kernel from the Nix store, not from a mirror'
XDG_CACHE_HOME=$work/cache UKCI_MIRROR_DEBIAN=http://127.0.0.1:9/debian PATH=/usr/bin:/bin \
  nix run "${stubbed[@]}" "path:$work/tree#check" -- "$examples/ringbuf.bpf.o" --kernel "$kernel" \
  --accel tcg --transport vhost-user-vsock --out "$work/run" 2>"$work/run.log" || {
  cat "$work/run.log" >&2
  fail 'the object does not pass'
}
# The tool must use the agent that it was wrapped with, and not one beside an executable of this
# host.
grep -q "$(sha256sum <"$agent" | cut -d' ' -f1)" "$work/run/report.json" ||
  fail "the report has another agent: $work/run"

# shellcheck source=nix/tests/projects.sh
. "$root/nix/tests/projects.sh"

step 'the same cell has the same verdict and the same evidence without Nix'
cell=$(build "$work/tree" "$refused")
HOME=$home UKCI_AGENT_X86_64=$prebuilt/ukci-guest-x86_64/bin/ukci-guest "$ukci" --quiet check \
  "$examples/unchecked_deref.bpf.o" --kernel "$kernel" --accel tcg --out "$work/native" || true
judged() { grep --extended-regexp '"(outcome|code|headline|evidence_digest)":' "$1/report.json"; }
diff <(judged "$work/native") <(judged "$cell") || fail 'Nix and the tool judge the cell differently'

step 'done'
