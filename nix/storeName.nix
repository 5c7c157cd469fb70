# Makes a name for the Nix store of a file name: a character that Nix refuses becomes `-`.
# `harness/src/nix.rs` does the same, so that ukci finds files that Nix has downloaded.
name:
builtins.concatStringsSep "-" (
  builtins.filter builtins.isString (builtins.split "[^a-zA-Z0-9+._?=-]" name)
)
