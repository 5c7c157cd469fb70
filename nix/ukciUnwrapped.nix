# The tool alone, with an empty lock inside: derivations hand it the entries that they need.
{
  lockSchema,
  root,
  rustPlatform,
  source,
}:
rustPlatform.buildRustPackage {
  pname = "ukci-unwrapped";
  version = "0.1.0";
  src = source;
  cargoLock.lockFile = root + "/Cargo.lock";
  postPatch = ''
    echo '{ "schema": "${lockSchema}", "kernels": [] }' >kernels/lock.json
  '';
  cargoBuildFlags = [
    "--package"
    "ukci"
  ];
  # `checks` runs the tests, with the lock.
  doCheck = false;
  meta.mainProgram = "ukci";
}
