# The tool alone. Its lock is empty, because every derivation gives it the entries that it needs.
{
  isSource,
  lockSchema,
  root,
  rustPlatform,
  source,
}:
let
  families = builtins.concatStringsSep " " (
    map (file: "lock/${file}") (builtins.attrNames (builtins.readDir (root + "/kernels/lock")))
  );
in
rustPlatform.buildRustPackage {
  pname = "ukci-unwrapped";
  version = "0.1.0";
  src = source "ukci-source" isSource;
  cargoLock.lockFile = root + "/Cargo.lock";
  postPatch = ''
    mkdir -p kernels/lock
    for file in lock.json ${families}; do
      echo '{ "schema": "${lockSchema}", "kernels": [] }' >"kernels/$file"
    done
  '';
  cargoBuildFlags = [
    "--package"
    "ukci"
  ];
  # `checks` runs the tests, which need the lock.
  doCheck = false;
  meta.mainProgram = "ukci";
}
