# One line per cell of a flake, `matrix name derivation`, to compare two flakes.
cells:
let
  names = table: builtins.filter (name: name != "recurseForDerivations") (builtins.attrNames table);
in
builtins.concatStringsSep "" (
  builtins.concatMap (
    matrix: map (name: "${matrix} ${name} ${cells.${matrix}.${name}.drvPath}\n") (names cells.${matrix})
  ) (names cells)
)
