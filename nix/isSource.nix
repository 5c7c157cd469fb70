# Whether a file or directory, named from the root of the tree, is one that the tool or an agent is
# built from. `harness/tests/nix.rs` checks that cargo can read the files that are kept.
path:
let
  below = folder: builtins.match "${folder}(/.*)?" path != null;
  # Cargo refuses the whole workspace if a test that a `Cargo.toml` names is missing.
  named = [
    "guest/tests"
    "guest/tests/child.rs"
  ];
in
builtins.elem path named
|| (
  builtins.any below [
    "Cargo[.]lock"
    "Cargo[.]toml"
    "guest"
    "harness"
    "kernels"
    "matrices"
    "ukci"
  ]
  && path != "kernels/lock.json"
  && path != "kernels/CHANGES.md"
  && builtins.match "kernels/lock/.*" path == null
  && builtins.match ".*/tests(/.*)?" path == null
)
