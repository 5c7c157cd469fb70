# A stub of nixpkgs with exactly what `nix/surface.nix` takes from it. `check.sh` puts programs of
# the host into `prebuilt/`. Most are links to files outside of the store, which the sandbox can see
# by its settings.
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

  # The builtin fetcher of Nix takes one address. `fetchurl` of nixpkgs tries all addresses.
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

  # Returns what this host built under the name of the package. It accepts only the arguments that
  # ukci uses, so a misspelled one fails here.
  rustPlatform.buildRustPackage =
    {
      pname,
      version,
      src,
      cargoLock,
      RUSTFLAGS ? "",
      UKCI_COMMIT ? "",
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
    # nixpkgs needs a digest for every crate that does not come from a registry.
    assert all isOfRegistry locked.package;
    runCommand "${pname}-${version}"
      {
        inherit
          RUSTFLAGS
          UKCI_COMMIT
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

  # A kernel with the file layout of nixpkgs, made from the package of a distribution.
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

  # An empty package with this name.
  empty = name: runCommand name { } ''mkdir -p "$out/bin"'';
  empties =
    names:
    listToAttrs (
      map (name: {
        inherit name;
        value = empty name;
      }) names
    );
  # As in nixpkgs, the program does not find its own headers, because they are in another output.
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
