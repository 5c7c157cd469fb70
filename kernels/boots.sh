#!/bin/sh
# Boots every kernel of Debian that the lock pins, asks it for its eBPF features, and prints a table
# in Markdown: what `make boots` writes to docs/debian-kernels.md. Of a series that the mirrors no
# longer have whole, the newest version is booted.
#
#   kernels/boots.sh UKCI OBJECT OUT [PATTERN]     PATTERN is a regular expression of names
set -eu
ukci=$1 object=$2 out=$3 pattern=${4:-.}
cd "$(dirname "$0")/.."
export UKCI_LOCK=kernels/lock.json
mkdir -p "$out"

# Name and architecture of each kernel, a line each.
jq --slurp --raw-output --arg pattern "$pattern" '
  def order: [.packages[0].version | scan("[0-9]+") | tonumber];
  (.[0].kernels | map(select(.distro == "debian"))) as $present
  | ($present | map([.name, .arch])) as $known
  | (.[1].history | group_by([.name, .arch]) | map(max_by(order))
     | map(select([.name, .arch] as $of | $known | index([$of]) | not)
           | .name += "@" + .packages[0].version)) as $old
  | $present + $old | sort_by([.series | split(".") | map(tonumber)], .name)
  | .[] | select(.name | test($pattern)) | "\(.name) \(.arch)"
' kernels/lock.json kernels/lock/debian.json > "$out/kernels"

for arch in x86_64 aarch64 riscv64; do
  set --
  for name in $(sed -n "s/ $arch\$//p" "$out/kernels"); do set -- "$@" --kernel "$name"; done
  [ $# -gt 0 ] || continue
  # A kernel that fails is a row of the table.
  "$ukci" --quiet check "$object" --arch "$arch" --cold --no-cache --out "$out/$arch" "$@" >&2 || true
done

cat << 'END'
# Debian's kernels

`make boots` boots every kernel of Debian that `kernels/lock.json` pins, and of series that only have
older versions, the newest one. All were pinned from signed metadata. It writes this page.

**CPU** is the CPU time of QEMU for one cell of `ringbuf.bpf.o` that boots the kernel, without KVM, in
seconds. The other numbers count what the kernel has: types of programs and of maps, helpers of any type of
program, and kfuncs, as [`ukci kernels features`](cli.md#ukci-kernels-features) lists them. **LSM** says
whether `bpf` is among the active security modules.

| Kernel | Arch | Release | Result | CPU | Programs | Maps | Helpers | kfuncs | LSM |
|---|---|---|---|---|---|---|---|---|---|
END
while read -r name arch; do
  features="$out/features.json"
  # It reads nothing of the list.
  "$ukci" --quiet kernels features "$name/$arch" --format json > "$features" < /dev/null ||
    echo '{"features":[],"guest":{}}' > "$features"
  jq --raw-output --arg name "$name" --arg arch "$arch" --slurpfile features "$features" '
    ($features[0]) as $has
    | def many($kind): [$has.features[] | select(.kind == $kind and .present)] | length;
    .cells[] | select(.kernel == $name)
    | [ "`\($name)`", $arch, .release // "?",
        (if .verdict == "pass" then "pass" else .diagnosis.code // .verdict end),
        ((.cpu_seconds // 0) * 100 | round / 100),
        many("program-type"), many("map-type"), many("helper"), many("kfunc"),
        (if ($has.guest.lsm // []) | index("bpf") then "yes" else "no" end) ]
    | map(tostring) | "| " + join(" | ") + " |"
  ' "$out/$arch/report.json"
done < "$out/kernels"
