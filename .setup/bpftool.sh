#!/usr/bin/env bash
# Prints the path of a bpftool that works, and installs one if there is none.
#
# The command `bpftool` of Ubuntu is a script that needs the tools of exactly the running kernel. On
# Ubuntu, the tools of any kernel are installed instead, and the bpftool among them is used.
set -euo pipefail

find_bpftool() {
  local tool
  for tool in bpftool /usr/sbin/bpftool /usr/lib/linux-tools/*/bpftool; do
    if "$tool" version >/dev/null 2>&1; then
      command -v "$tool"
      return
    fi
  done
  return 1
}

if find_bpftool; then
  exit 0
fi
package=bpftool
if grep -q '^ID=ubuntu$' /etc/os-release; then
  package=linux-tools-generic
fi
"$(dirname "$0")/packages.sh" "$package" >&2
if ! find_bpftool; then
  printf 'error: the package %s has no bpftool that works\n' "$package" >&2
  exit 1
fi
