# A cell's name as an attribute: without `/` and `.`, which split attribute paths on a command line.
cell: builtins.replaceStrings [ "/" "." ] [ "-" "_" ] (import ./cellId.nix cell)
