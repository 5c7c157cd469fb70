# `mkMatrix` as checks of a flake: one a cell, which fails where the cell did not do what the
# matrix says of it.
{ gate, mkMatrix }:
args:
let
  matrix = mkMatrix args;
in
builtins.mapAttrs (
  name: cell:
  gate {
    inherit name;
    inherit (matrix) vouchers;
    cells.${name} = cell;
  }
) matrix.cells
