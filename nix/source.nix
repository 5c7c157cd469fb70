# The part of the tree for which `isKept` holds, such as `isSource`. The lock is not a source: with
# it, a new kernel would rebuild the tool, and with the tool every cell. Neither is the
# documentation.
{ root }:
name: isKept:
builtins.path {
  inherit name;
  path = root;
  filter =
    path: _:
    isKept (builtins.substring (builtins.stringLength (toString root) + 1) (-1) (toString path));
}
