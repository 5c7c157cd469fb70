# Fails if Nix and the tool expand a matrix to different cells.
{
  cellId,
  expand,
  lock,
  lockFiles,
  readMatrix,
  runCommand,
  ukciUnwrapped,
}:
file:
let
  read = readMatrix file;
  expansion = expand {
    inherit (read) matrix;
    inherit lock;
    # `ukci list` without an artifact lists cells of an artifact with this name.
    artifacts = [
      {
        name = "*";
        form = "object";
      }
    ];
  };
in
runCommand "agreement-${read.name}"
  {
    cells = builtins.toJSON (map (planned: planned // { id = cellId planned.cell; }) expansion.cells);
    passAsFile = [ "cells" ];
    inherit file;
    lock = "${lockFiles}/lock.json";
    nativeBuildInputs = [ ukciUnwrapped ];
  }
  ''
    echo >>"$cellsPath"
    cp "$file" ./${read.name}.toml
    UKCI_LOCK=$lock HOME=$TMPDIR ukci list --format json --matrix ./${read.name}.toml >tool.json
    cmp "$cellsPath" tool.json
    cp tool.json "$out"
  ''
