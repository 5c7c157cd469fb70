# All that this flake takes from nixpkgs. `nix/tests/stub` has the same names, and no more: what
# is used without being listed here fails there.
pkgs: {
  inherit (pkgs)
    fetchurl
    libbpf
    linuxHeaders
    makeWrapper
    mkShell
    qemu
    runCommand
    rustPlatform
    vhost-device-vsock
    ;
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
  # Unwrapped: the wrapper adds flags that the bpf target refuses (`-fzero-call-used-regs`). Lazy:
  # a major that nixpkgs has dropped is missed only by those who name it.
  clangs = {
    "18" = pkgs.llvmPackages_18.clang-unwrapped;
    "19" = pkgs.llvmPackages_19.clang-unwrapped;
    "20" = pkgs.llvmPackages_20.clang-unwrapped;
    "21" = pkgs.llvmPackages_21.clang-unwrapped;
    "22" = pkgs.llvmPackages_22.clang-unwrapped;
  };
  # nixpkgs's own kernels, from its binary cache.
  kernels = {
    lts = pkgs.linuxPackages.kernel;
    latest = pkgs.linuxPackages_latest.kernel;
    testing = pkgs.linuxPackages_testing.kernel;
  };
  # Where agents are compiled: a package set for each architecture of guests.
  cross = {
    x86_64 = pkgs.pkgsCross.gnu64;
    aarch64 = pkgs.pkgsCross.aarch64-multiplatform;
    riscv64 = pkgs.pkgsCross.riscv64;
  };
}
