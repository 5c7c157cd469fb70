# What goes wrong: on the host, and in what projects write.
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
          # It names its version, and dies.
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
  # A host that cannot run machines: nothing is to be remembered of it.
  unsure = broken.legacyPackages.cells.quick.ringbuf-debian-12-6_1-cloud-x86_64;

  # Compiled without a look at it while Nix evaluates.
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

  # What is right in all of the following but for one argument.
  right = (flake.lib.mkMatrix right).gate.drvPath;
  # Each is refused with these words.
  wrong = [
    (refused "and not on aarch64-darwin" { system = "aarch64-darwin"; })
    (refused "no artifact: give `src`" { src = null; })
    (refused "no artifact: give `src`" { src = root + "/nix/template"; })
    (refused "`src` is made by a derivation" { src = surface.runCommand "src" { } ""; })
    (refused "no matrix is named `quik`; there are" { matrix = "quik"; })
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
    (refused "a kernel is named `lts`, and not `name/arch`" { kernels.lts = root; })
    (refused "no LLVM `3`: the flake has 18 19" { llvm = "3"; })
    (refused "no accelerator is named `hvf`; there are `tcg`, `kvm`" { accel = "hvf"; })
    (refused "no mode is named `run`; there are `load`, `attach`" { mode = "run"; })
    (refused "no artifact is named `helo`, as a manifest is; there are `hello`" {
      manifests.helo = builtins.toFile "helo.toml" "";
    })
    (refused "unexpected argument 'artefacts'" { artefacts = { }; })
  ];
}
