# The static agent of an architecture: glibc and libbpf-sys's own libbpf, libelf and zlib, as
# `guest/build-agent.sh` makes it. `pkgsStatic` cannot: its elfutils is marked as broken.
{
  autotools,
  cross,
  lockSchema,
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
  src = source;
  cargoLock.lockFile = root + "/Cargo.lock";
  postPatch = ''
    echo '{ "schema": "${lockSchema}", "kernels": [] }' >kernels/lock.json
  '';
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
  # Its libraries come as sources: the fortified and hardened variants do not link statically.
  hardeningDisable = [ "all" ];
  doCheck = false;
  # A dynamic agent would find no loader in its initramfs.
  postFixup = ''
    if $READELF --program-headers --wide $out/bin/ukci-guest | grep INTERP; then
      echo "the agent is not static" >&2
      exit 1
    fi
  '';
}
