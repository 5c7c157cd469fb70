# The tool alone. Its lock is empty, because every derivation gives it the entries that it needs.
{
  isSource,
  lockSchema,
  root,
  rustPlatform,
  source,
}:
rustPlatform.buildRustPackage {
  pname = "ukci-unwrapped";
  version = "0.1.0";
  src = source "ukci-source" isSource;
  cargoLock.lockFile = root + "/Cargo.lock";
  postPatch = ''
    echo '{ "schema": "${lockSchema}", "kernels": [] }' >kernels/lock.json
  '';
  cargoBuildFlags = [
    "--package"
    "ukci"
  ];
  # `checks` runs the tests, which need the lock.
  doCheck = false;
  meta.mainProgram = "ukci";
}
