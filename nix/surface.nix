# Everything that this flake takes from nixpkgs. `nix/tests/stub` has the same names and no others,
# so the tests fail if something is used that is not listed here.
pkgs:
let
  # The wrapper of clang adds flags that the target bpf refuses (`-fzero-call-used-regs`), so this
  # is the unwrapped one. Its own headers are in another output, where only the wrapper would find
  # them.
  clang =
    major: set:
    let
      inherit (set) clang-unwrapped;
    in
    {
      program = "${clang-unwrapped}/bin/clang";
      resources = "${clang-unwrapped.lib}/lib/clang/${major}";
      # Reports show this name.
      name = clang-unwrapped.name;
    };
  # What is needed of the packages for one architecture of guests.
  target = set: {
    inherit (set) linuxHeaders rustPlatform;
    staticGlibc = set.glibc.static;
  };
in
{
  inherit (pkgs)
    debian-archive-keyring
    fetchurl
    libbpf
    makeWrapper
    mkShell
    qemu
    runCommand
    rustPlatform
    vhost-device-vsock
    ;
  inherit (pkgs.stdenv) cc;
  inherit (pkgs.stdenv.hostPlatform) system;
  rustTools = {
    inherit (pkgs)
      cargo
      clippy
      rustc
      rustfmt
      ;
  };
  # The programs that libbpf-sys runs to build libelf, as listed in its `build.rs`.
  autotools = {
    inherit (pkgs)
      autoconf
      automake
      bison
      flex
      gawk
      gettext
      gnumake
      pkg-config
      ;
  };
  # This is lazy. If nixpkgs has removed a major, only those who name it notice.
  clangs = {
    "18" = clang "18" pkgs.llvmPackages_18;
    "19" = clang "19" pkgs.llvmPackages_19;
    "20" = clang "20" pkgs.llvmPackages_20;
    "21" = clang "21" pkgs.llvmPackages_21;
    "22" = clang "22" pkgs.llvmPackages_22;
  };
  # The kernels of nixpkgs, which come from its binary cache. `kernelOfNixpkgs.nix` reads their
  # `target`, `modules`, `configfile` and `modDirVersion`.
  kernels = {
    lts = pkgs.linuxPackages.kernel;
    latest = pkgs.linuxPackages_latest.kernel;
    testing = pkgs.linuxPackages_testing.kernel;
  };
  # The package sets that compile the agents.
  cross = {
    x86_64 = target pkgs.pkgsCross.gnu64;
    aarch64 = target pkgs.pkgsCross.aarch64-multiplatform;
    riscv64 = target pkgs.pkgsCross.riscv64;
  };
}
