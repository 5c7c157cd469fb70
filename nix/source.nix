# The tree that the tool and the agents are built from. Not the lock: it would rebuild the tool,
# and with the tool every cell, for a kernel that is new. Not the documentation either.
{ isSource, root }:
builtins.path {
  name = "ukci-source";
  path = root;
  filter =
    path: _:
    isSource (builtins.substring (builtins.stringLength (toString root) + 1) (-1) (toString path));
}
