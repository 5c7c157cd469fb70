# Reads a matrix for `expand.nix`. Its name is the key `name`, or else the name of the file without
# `.toml`.
file:
let
  matrix = builtins.fromTOML (builtins.readFile file);
  base = baseNameOf (toString file);
in
{
  inherit matrix;
  name = matrix.name or (builtins.head (builtins.match "(.*)[.]toml|(.*)" base));
}
