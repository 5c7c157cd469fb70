# The name of a cell as an attribute. It has no `/` and no `.`, which would split it on a command
# line.
cell: builtins.replaceStrings [ "/" "." ] [ "-" "_" ] (import ./cellId.nix cell)
