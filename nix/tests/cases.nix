# Cases that go wrong, because of the host or because of what a project writes.
{ root, pkgs }:
let
  surface = import (root + "/nix/surface.nix") pkgs;
  broken = import (root + "/nix") {
    inherit root;
    surface = surface // {
      qemu = surface.runCommand "qemu" { } ''
        mkdir -p "$out/bin"
        {
          echo '#!/bin/sh'
          # This QEMU prints its version, but runs no machine.
          echo 'case $1 in --version) echo "QEMU emulator version 9.0.0" ;; -L) ;; *) exit 1 ;; esac'
        } >"$out/bin/qemu-system-x86_64"
        chmod +x "$out/bin/qemu-system-x86_64"
      '';
    };
  };
  flake = (import (root + "/flake.nix")).outputs {
    self = { };
    nixpkgs.legacyPackages = {
      x86_64-linux = pkgs;
      aarch64-linux = pkgs;
    };
  };
  matrix = text: builtins.toFile "wrong.toml" text;
  right = {
    system = "x86_64-linux";
    src = root + "/nix/template/src";
    matrix = "quick";
  };
  refused = said: wrong: {
    inherit said;
    value = (flake.lib.mkMatrix (right // wrong)).gate.drvPath;
  };
in
{
  # If the host cannot run machines, no result may be cached.
  unsure = broken.legacyPackages.cells.quick.ringbuf-debian-12-6_1-cloud-x86_64;

  # A source that a derivation generates must not be read while Nix evaluates.
  generated =
    let
      hello = root + "/nix/template/src/hello.bpf.c";
      scope = import (root + "/nix") { inherit root surface; };
    in
    scope.toolchain {
      name = "generated";
      arch = "x86_64";
      llvm = "21";
      file = "${
        surface.runCommand "source" { inherit hello; } ''
          mkdir "$out"
          cp "$hello" "$out/generated.bpf.c"
        ''
      }/generated.bpf.c";
    };

  # This is right. Each of the following has one argument that is wrong.
  right = (flake.lib.mkMatrix right).gate.drvPath;
  # Each case is refused with these words.
  wrong = [
    (refused "ukci does not run on aarch64-darwin" { system = "aarch64-darwin"; })
    (refused "there is no artifact: set `src`" { src = null; })
    (refused "there is no artifact: set `src`" { src = root + "/nix/template"; })
    (refused "`src` is made by a derivation" { src = surface.runCommand "src" { } ""; })
    (refused "there is no matrix `quik`; choose one of" { matrix = "quik"; })
    (refused "kernel `debian-9-4.9` is not locked for x86_64" {
      matrix = matrix ''
        [[cells]]
        kernels = ["debian-9-4.9"]
      '';
    })
    (refused "unknown key `kernel` in [[cells]]" {
      matrix = matrix ''
        [[cells]]
        kernels = ["debian-12-6.1"]
        kernel = "debian-12-6.1"
      '';
    })
    (refused "the name of the kernel `lts` must be `name/arch`" { kernels.lts = root; })
    (refused "there is no LLVM `3`; the flake has 18 19" { llvm = "3"; })
    (refused "there is no accelerator `hvf`; choose one of `tcg`, `kvm`" { accel = "hvf"; })
    (refused "there is no mode `run`; choose one of `load`, `attach`" { mode = "run"; })
    (refused "the manifest `helo` belongs to no artifact; choose one of `hello`" {
      manifests.helo = builtins.toFile "helo.toml" "";
    })
    (refused "unexpected argument 'artefacts'" { artefacts = { }; })
  ];
}
