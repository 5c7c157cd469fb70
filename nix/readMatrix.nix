# A matrix as `expand.nix` takes it, and its name: the key `name`, or the file's without `.toml`.
file:
let
  matrix = builtins.fromTOML (builtins.readFile file);
  base = baseNameOf (toString file);
in
{
  inherit matrix;
  name = matrix.name or (builtins.head (builtins.match "(.*)[.]toml|(.*)" base));
}
