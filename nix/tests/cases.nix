# Cells that go wrong.
{ root, pkgs }:
let
  surface = import (root + "/nix/surface.nix") pkgs;
  scope = import (root + "/nix") { inherit root surface; };
  broken = import (root + "/nix") {
    inherit root;
    surface = surface // {
      qemu = surface.runCommand "qemu" { } ''
        mkdir -p "$out/bin"
        {
          echo '#!/bin/sh'
          # It names its version, and dies.
          echo 'case $1 in --version) echo "QEMU emulator version 9.0.0" ;; -L) ;; *) exit 1 ;; esac'
        } >"$out/bin/qemu-system-x86_64"
        chmod +x "$out/bin/qemu-system-x86_64"
      '';
    };
  };
  on = "-debian-12-6_1-cloud-x86_64";
  quick = scope: scope.legacyPackages.cells.quick;
in
{
  # Of two cells the one that failed is named.
  gate = scope.gate {
    name = "two";
    cells = {
      refused = (quick scope)."unchecked_deref${on}";
      taken = (quick scope)."ringbuf${on}";
    };
  };
  # Each of two cells of one object brings a copy of it, and none can be written to.
  report = scope.report {
    name = "two";
    plan = scope.legacyPackages.plans.quick;
    cells = {
      new = (quick scope)."ringbuf${on}";
      old = (quick scope).ringbuf-debian-11-5_10-cloud-x86_64;
    };
  };
  # A host that cannot run machines: nothing is to be remembered of it.
  unsure = (quick broken)."ringbuf${on}";
}
