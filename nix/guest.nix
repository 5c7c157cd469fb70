# The static agent for an architecture. It links glibc, and the libbpf, libelf and zlib that
# libbpf-sys brings, as `guest/build-agent.sh` does. `pkgsStatic` cannot build it: its elfutils is
# marked as broken.
{
  autotools,
  cross,
  isGuestSource,
  root,
  source,
}:
arch:
let
  target = cross.${arch};
in
target.rustPlatform.buildRustPackage {
  pname = "ukci-guest-${arch}";
  version = "0.1.0";
  src = source "ukci-guest-source" isGuestSource;
  cargoLock.lockFile = root + "/Cargo.lock";
  postPatch = "sed -i -f ${./guestWorkspace.sed} Cargo.toml";
  nativeBuildInputs = builtins.attrValues autotools;
  buildInputs = [ target.staticGlibc ];
  cargoBuildFlags = [
    "--package"
    "ukci-guest"
    "--bin"
    "ukci-guest"
  ];
  buildType = "agent";
  RUSTFLAGS = "-C target-feature=+crt-static";
  # The libraries are compiled from source, and do not link statically if they are hardened.
  hardeningDisable = [ "all" ];
  doCheck = false;
  # A dynamic agent would not start, since its initramfs has no loader.
  postFixup = ''
    if $READELF --program-headers --wide $out/bin/ukci-guest | grep INTERP; then
      echo "error: the agent is not static" >&2
      exit 1
    fi
  '';
}
