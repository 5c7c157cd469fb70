# A matrix with artifacts as derivations: each cell, the report of all, and the gate.
{
  cell,
  cellName,
  draft,
  expand,
  gate,
  kernels,
  lock,
  readMatrix,
  report,
  toolchain,
}:
{
  # The TOML file.
  file,
  # `[ { name, form, file, path } ]`: `file` is an object, or C source where `form` is `source`.
  artifacts,
  # Boot files beside those of the lock, by `name/arch`.
  extraKernels ? { },
  # LLVM that compiles a source where the matrix names none.
  llvm ? "21",
  flags ? [ ],
  accel ? "tcg",
  mode ? "attach",
}:
let
  inherit (builtins) listToAttrs map split;
  read = readMatrix file;
  # Those beside the lock are as good as locked: the flake's own lock pins them.
  own = map (
    key:
    let
      parts = split "/" key;
    in
    {
      name = builtins.elemAt parts 0;
      arch = builtins.elemAt parts 2;
    }
  ) (builtins.attrNames extraKernels);
  expansion = expand {
    inherit (read) matrix;
    inherit artifacts;
    lock = lock // {
      kernels = lock.kernels ++ own;
    };
  };
  named = listToAttrs (
    map (artifact: {
      inherit (artifact) name;
      value = artifact;
    }) artifacts
  );
  # The artifact as a cell loads it.
  loaded =
    point:
    let
      artifact = named.${point.artifact};
    in
    {
      inherit (artifact) path form;
      file =
        if artifact.form == "source" then
          toolchain {
            inherit (artifact) name file;
            inherit (point) arch;
            inherit flags;
            llvm = point.llvm or llvm;
          }
        else
          artifact.file;
    };
  draftOf =
    cells: artifacts:
    draft {
      matrix = read.name;
      inherit artifacts cells;
      kernels = kernels // extraKernels;
      cmdline = read.matrix.cmdline or [ ];
      sysctl = read.matrix.sysctl or [ ];
    };
  cells = listToAttrs (
    map (planned: {
      name = cellName planned.cell;
      value = cell {
        inherit accel mode;
        draft = draftOf [ planned ] { ${planned.cell.artifact} = loaded planned.cell; };
      };
    }) expansion.cells
  );
in
{
  inherit cells;
  inherit (read) name;
  report = report {
    inherit (read) name;
    inherit cells;
  };
  gate = gate {
    inherit (read) name;
    inherit cells;
  };
  # All cells in one plan: of objects, since a plan has one file an artifact.
  draft = draftOf expansion.cells (builtins.mapAttrs (_: artifact: { inherit (artifact) file path form; }) named) // {
    inherit (expansion) excluded;
  };
}
