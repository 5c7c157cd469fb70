# What `nix/surface.nix` takes of nixpkgs, and nothing else. `check.sh` puts the host's programs
# into `prebuilt/`: most are links out of the store, which its settings let the sandbox see.
system:
let
  inherit (builtins)
    all
    listToAttrs
    map
    path
    pathExists
    removeAttrs
    ;

  busybox = path {
    name = "busybox";
    path = ./prebuilt/busybox;
  };

  runCommand =
    name: env: script:
    derivation (
      {
        inherit name system;
        builder = "${busybox}/bin/sh";
        args = [
          "-eu"
          "-c"
          ''for input in ''${nativeBuildInputs-}; do PATH=$input/bin:$PATH; done; . "$buildCommandPath"''
        ];
        PATH = "${busybox}/bin";
        buildCommand = script;
      }
      // removeAttrs env [ "meta" ]
      // {
        passAsFile = (env.passAsFile or [ ]) ++ [ "buildCommand" ];
      }
    );

  prebuilt =
    name:
    path {
      inherit name;
      path = ./prebuilt + "/${name}";
    };

  # The builder of Nix itself takes one address; nixpkgs's tries all of them.
  fetchurl =
    {
      urls,
      name,
      sha256,
    }:
    derivation {
      inherit name urls;
      url = builtins.head (builtins.filter (url: builtins.match "https?:.*" url != null) urls);
      system = "builtin";
      builder = "builtin:fetchurl";
      outputHash = sha256;
      outputHashAlgo = "sha256";
      outputHashMode = "flat";
      executable = false;
      unpack = false;
      preferLocalBuild = true;
    };

  # What its name says, where this host built it. Of the arguments no other is known: a misspelt one
  # fails here.
  rustPlatform.buildRustPackage =
    {
      pname,
      version,
      src,
      cargoLock,
      RUSTFLAGS ? "",
      buildInputs ? [ ],
      buildPhase ? "",
      buildType ? "release",
      cargoBuildFlags ? [ ],
      doCheck ? true,
      hardeningDisable ? [ ],
      installPhase ? "",
      meta ? { },
      nativeBuildInputs ? [ ],
      postFixup ? "",
      postPatch ? "",
    }:
    let
      locked = builtins.fromTOML (builtins.readFile cargoLock.lockFile);
      isOfRegistry = crate: builtins.match "registry[+].*" (crate.source or "registry+") != null;
    in
    # nixpkgs asks for a digest of every crate that is of none.
    assert all isOfRegistry locked.package;
    runCommand "${pname}-${version}"
      {
        inherit
          RUSTFLAGS
          buildInputs
          buildPhase
          buildType
          cargoBuildFlags
          installPhase
          postFixup
          postPatch
          src
          ;
        tools = nativeBuildInputs;
      }
      (
        if pathExists (./prebuilt + "/${pname}") then
          ''cp -R ${prebuilt pname} "$out"''
        else
          ''
            echo "${pname} is built by nixpkgs only" >&2
            exit 1
          ''
      );

  # A kernel as nixpkgs lays it out, made of a distribution's package.
  ofPackage =
    name: script:
    runCommand name { deb = prebuilt "kernel.deb"; } ''
      ar x "$deb"
      xzcat data.tar.xz | tar x
      mkdir -p "$out"
      ${script}
    '';
  kernel =
    ofPackage "linux" ''
      cp boot/vmlinuz-* "$out/bzImage"
      cp boot/config-* "$out/config"
    ''
    // {
      target = "bzImage";
      modules = ofPackage "linux-modules" ''cp -R lib "$out/lib"'';
      modDirVersion = builtins.readFile ./prebuilt/kernel.release;
      configfile = "${kernel}/config";
    };

  # What its name says, and nothing in it.
  empty = name: runCommand name { } ''mkdir -p "$out/bin"'';
  empties =
    names:
    listToAttrs (
      map (name: {
        inherit name;
        value = empty name;
      }) names
    );
  # As nixpkgs lays it out: the program finds no headers of its own, which are in another output.
  llvmPackages = major: {
    clang-unwrapped = {
      name = "clang-${major}";
      outPath = prebuilt "clang";
      lib = prebuilt "clang-lib";
    };
  };
  target = {
    inherit rustPlatform;
    linuxHeaders = prebuilt "linuxHeaders";
    glibc.static = empty "glibc-static";
  };
in
empties [
  "autoconf"
  "automake"
  "bison"
  "cargo"
  "clippy"
  "flex"
  "gawk"
  "gettext"
  "gnumake"
  "pkg-config"
  "rustc"
  "rustfmt"
]
// {
  inherit fetchurl runCommand rustPlatform;
  debian-archive-keyring = prebuilt "debian-archive-keyring";
  libbpf = prebuilt "libbpf";
  makeWrapper = prebuilt "makeWrapper";
  qemu = prebuilt "qemu";
  vhost-device-vsock = prebuilt "vhost-device-vsock";
  stdenv = {
    cc = empty "cc";
    hostPlatform = {
      inherit system;
    };
  };
  mkShell =
    { packages, CLANG }:
    runCommand "shell" { inherit CLANG packages; } ''mkdir "$out"'';
  llvmPackages_18 = llvmPackages "18";
  llvmPackages_19 = llvmPackages "19";
  llvmPackages_20 = llvmPackages "20";
  llvmPackages_21 = llvmPackages "21";
  llvmPackages_22 = llvmPackages "22";
  linuxPackages.kernel = kernel;
  linuxPackages_latest.kernel = kernel;
  linuxPackages_testing.kernel = kernel;
  pkgsCross = {
    gnu64 = target;
    aarch64-multiplatform = target;
    riscv64 = target;
  };
}
