#!/usr/bin/env bash
# Prints the address of a Debian mirror: the one in UKCI_MIRROR_DEBIAN, or else the one in the
# sources of apt. If there is neither, it prints the address of today's snapshot in the permanent
# archive.
set -euo pipefail

mirror=${UKCI_MIRROR_DEBIAN:-}
mirror=${mirror%%,*}
[ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(BASE_URI)' 'Created-By: Packages' 2>/dev/null |
  sed -n 's#^\(.*/debian/\)dists/.*#\1#p' | head -1)
[ -n "$mirror" ] || mirror=$(sed -n 's#^URIs: *\([^ ]*/debian/\{0,1\}\) *$#\1#p' \
  /etc/apt/sources.list.d/*.sources 2>/dev/null | head -1)
# The archive answers with the last snapshot that was made before this time.
[ -n "$mirror" ] || mirror=https://snapshot.debian.org/archive/debian/$(date --utc +%Y%m%d)T235959Z
printf '%s\n' "$mirror"
