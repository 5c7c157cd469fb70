# `checks.<system>`.
{
  agreement,
  autotools,
  legacyPackages,
  root,
  rustPlatform,
  rustTools,
}:
let
  inherit (builtins)
    attrNames
    attrValues
    filter
    head
    listToAttrs
    map
    match
    readDir
    ;
  matrices = map (file: head (match "(.*)[.]toml" file)) (
    filter (file: match ".*[.]toml" file != null) (attrNames (readDir (root + "/matrices")))
  );
  # The whole tree, with the tests and the lock.
  tree = builtins.path {
    name = "ukci-tree";
    path = root;
    filter = path: _: baseNameOf path != "target" && baseNameOf path != ".git";
  };
  cargo =
    name: command:
    rustPlatform.buildRustPackage {
      pname = "ukci-${name}";
      version = "0.1.0";
      src = tree;
      cargoLock.lockFile = root + "/Cargo.lock";
      nativeBuildInputs = attrValues autotools ++ attrValues rustTools;
      buildPhase = command;
      installPhase = "touch $out";
      doCheck = false;
    };
in
{
  fmt = cargo "fmt" "cargo fmt --all --check";
  clippy = cargo "clippy" "cargo clippy --workspace --all-targets -- --deny warnings";
  docs = cargo "docs" "RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --no-deps";
  unit = cargo "unit" "cargo test --workspace --exclude ukci --exclude ukci-guest";
  # This boots real kernels under TCG, so it runs on any builder.
  smoke = legacyPackages.smoke;
}
// listToAttrs (
  map (name: {
    name = "agreement-${name}";
    value = agreement (root + "/matrices/${name}.toml");
  }) matrices
)
