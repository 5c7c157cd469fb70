# Whether a path belongs to the output of a derivation. Such a path cannot be read before it is
# built, and nothing is built while Nix evaluates.
path: builtins.any (of: of ? outputs) (builtins.attrValues (builtins.getContext (toString path)))
