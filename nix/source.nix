# The tree that the tool and the agents are built from. Not the lock: it would rebuild the tool,
# and with the tool every cell, for a kernel that is new. Not the documentation either.
{ root }:
builtins.path {
  name = "ukci-source";
  path = root;
  filter =
    path: type:
    let
      below = builtins.substring (builtins.stringLength (toString root) + 1) (-1) (toString path);
      top = builtins.head (builtins.split "/" below);
    in
    builtins.elem top [
      "Cargo.lock"
      "Cargo.toml"
      "guest"
      "harness"
      "kernels"
      "matrices"
      "ukci"
    ]
    && below != "kernels/lock.json"
    && builtins.match ".*/tests(/.*)?" below == null;
}
