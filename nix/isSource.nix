# Whether a file or directory, named from the tree's root, is one that the tool or an agent is built
# from. `harness/tests/nix.rs` has cargo read what is left.
path:
let
  below = folder: builtins.match "${folder}(/.*)?" path != null;
  # A test that a `Cargo.toml` names must be there, or cargo refuses the whole workspace.
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
  && builtins.match ".*/tests(/.*)?" path == null
)
