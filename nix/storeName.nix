# A file name as a store path can have it: what Nix refuses becomes `-`. `harness/src/nix.rs` does
# the same, so that both roads find one file.
name:
builtins.concatStringsSep "-" (
  builtins.filter builtins.isString (builtins.split "[^a-zA-Z0-9+._?=-]" name)
)
