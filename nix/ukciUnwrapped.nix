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
  src = source "ukci-source" isSource;
in
rustPlatform.buildRustPackage {
  pname = "ukci-unwrapped";
  version = "0.1.0";
  inherit src;
  # Verdicts are remembered only by a build that says what it was built from. The hash of the sources
  # says it, of a tree with changes as well. A commit would rebuild the tool, and with it every cell,
  # whenever the documentation or the lock changes.
  UKCI_COMMIT = "source-" + builtins.substring 0 12 (baseNameOf src);
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
