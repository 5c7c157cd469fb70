# Whether a path is of what a derivation makes: there is nothing to read until that is built, and
# nothing is built while Nix evaluates.
path: builtins.any (of: of ? outputs) (builtins.attrValues (builtins.getContext (toString path)))
