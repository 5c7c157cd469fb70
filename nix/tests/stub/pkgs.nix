# What `nix/surface.nix` takes of nixpkgs, and nothing else. `check.sh` puts the host's programs
# into `prebuilt/`: most are links out of the store, which its settings let the sandbox see.
system:
let
  inherit (builtins)
    attrNames
    listToAttrs
    map
    path
    pathExists
    readDir
    removeAttrs
    toString
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

  rustPlatform.buildRustPackage =
    {
      pname,
      version,
      src,
      ...
    }:
    runCommand "${pname}-${version}" { inherit src; } (
      if pathExists (./prebuilt + "/${pname}") then
        ''cp -R ${prebuilt pname} "$out"''
      else
        ''
          echo "${pname} is built by nixpkgs only" >&2
          exit 1
        ''
    );

  # A kernel as nixpkgs lays it out, made of a distribution's package.
  kernel =
    runCommand "linux" { deb = prebuilt "kernel.deb"; } ''
      ar x "$deb"
      xzcat data.tar.xz | tar x
      mkdir -p "$out"
      cp boot/vmlinuz-* "$out/bzImage"
      cp -R lib "$out/lib"
      cp boot/config-* "$out/config"
    ''
    // {
      target = "bzImage";
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
  clang = {
    clang-unwrapped = prebuilt "clang";
  };
  target = {
    inherit rustPlatform;
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
// listToAttrs (
  map (name: {
    inherit name;
    value = prebuilt name;
  }) (attrNames (removeAttrs (readDir ./prebuilt) [ "clang" ]))
)
// {
  inherit fetchurl runCommand rustPlatform;
  stdenv.hostPlatform = {
    inherit system;
  };
  makeWrapper = prebuilt "makeWrapper";
  mkShell = args: runCommand "shell" { inherit (args) packages; } ''mkdir "$out"'';
  llvmPackages_18 = clang;
  llvmPackages_19 = clang;
  llvmPackages_20 = clang;
  llvmPackages_21 = clang;
  llvmPackages_22 = clang;
  linuxPackages.kernel = kernel;
  linuxPackages_latest.kernel = kernel;
  linuxPackages_testing.kernel = kernel;
  pkgsCross = {
    gnu64 = target;
    aarch64-multiplatform = target;
    riscv64 = target;
  };
}
