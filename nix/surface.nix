# All that this flake takes from nixpkgs. `nix/tests/stub` has the same names, and no more: what
# is used without being listed here fails there.
pkgs:
let
  # Unwrapped: the wrapper adds flags that the bpf target refuses (`-fzero-call-used-regs`). But
  # clang's own headers lie in another output, where only the wrapper looks for them.
  clang =
    major: set:
    let
      inherit (set) clang-unwrapped;
    in
    {
      program = "${clang-unwrapped}/bin/clang";
      resources = "${clang-unwrapped.lib}/lib/clang/${major}";
      # As reports name it.
      name = clang-unwrapped.name;
    };
  # Of a package set for an architecture of guests.
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
  # What libbpf-sys runs to build libelf: its own list, in its `build.rs`.
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
  # Lazy: a major that nixpkgs has dropped is missed only by those who name it.
  clangs = {
    "18" = clang "18" pkgs.llvmPackages_18;
    "19" = clang "19" pkgs.llvmPackages_19;
    "20" = clang "20" pkgs.llvmPackages_20;
    "21" = clang "21" pkgs.llvmPackages_21;
    "22" = clang "22" pkgs.llvmPackages_22;
  };
  # nixpkgs's own kernels, from its binary cache: what `kernelOfNixpkgs.nix` reads of them are
  # `target`, `modules`, `configfile` and `modDirVersion`.
  kernels = {
    lts = pkgs.linuxPackages.kernel;
    latest = pkgs.linuxPackages_latest.kernel;
    testing = pkgs.linuxPackages_testing.kernel;
  };
  # Where agents are compiled.
  cross = {
    x86_64 = target pkgs.pkgsCross.gnu64;
    aarch64 = target pkgs.pkgsCross.aarch64-multiplatform;
    riscv64 = target pkgs.pkgsCross.riscv64;
  };
}
