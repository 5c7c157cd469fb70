# `mkMatrix` as checks of a flake. There is one check per cell, which fails if the cell did not meet
# its expectation.
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
