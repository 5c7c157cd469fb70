# `mkMatrix` as checks of a flake: one a cell, which fails where the cell did not do what the
# matrix says of it.
{ gate, mkMatrix }:
args:
builtins.mapAttrs (
  name: cell:
  gate {
    inherit name;
    cells.${name} = cell;
  }
) (mkMatrix args).cells
