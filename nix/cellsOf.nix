# A matrix with artifacts as derivations: each cell, the report of all, the gate, and the plan.
{
  cell,
  cellName,
  clangs,
  draft,
  expand,
  gate,
  kernels,
  lock,
  plan,
  readMatrix,
  report,
  toolchain,
}:
{
  # The TOML file.
  file,
  # `[ { name, form, file, path } ]`: `file` is an object, or C source where `form` is `source`;
  # and `manifest`, where it has one: `{ file, path }`.
  artifacts,
  # Boot files beside those of the lock, by `name/arch`.
  extraKernels ? { },
  # LLVM that compiles a source where the matrix names none.
  llvm ? "21",
  flags ? [ ],
  baseline ? null,
  accel ? "tcg",
  mode ? "attach",
}:
let
  inherit (builtins)
    intersectAttrs
    listToAttrs
    map
    ;
  read = readMatrix file;
  # Those beside the lock are as good as locked: the flake's own lock pins them.
  own = map (
    key:
    let
      parts = builtins.match "([^/]+)/([^/]+)" key;
    in
    if parts == null then
      throw "a kernel is named `${key}`, and not `name/arch`"
    else
      {
        name = builtins.elemAt parts 0;
        arch = builtins.elemAt parts 1;
      }
  ) (builtins.attrNames extraKernels);
  expansion = expand {
    inherit (read) matrix;
    inherit artifacts;
    lock = lock // {
      kernels = lock.kernels ++ builtins.deepSeq own own;
    };
  };
  named = listToAttrs (
    map (artifact: {
      inherit (artifact) name;
      value = artifact;
    }) artifacts
  );
  # A source that the matrix names no LLVM for is compiled by the default one.
  compiled =
    planned:
    if named.${planned.cell.artifact}.form == "source" then
      planned
      // {
        cell = {
          inherit llvm;
        }
        // planned.cell;
      }
    else
      planned;
  planned = map compiled expansion.cells;
  objectsOf =
    cell:
    let
      artifact = named.${cell.artifact};
    in
    if artifact.form == "source" then
      {
        "${cell.artifact}/llvm-${cell.llvm}/${cell.arch}" = {
          clang = clangs.${cell.llvm}.name or "clang-${cell.llvm}";
          dir = "${toolchain {
            inherit (artifact) name file;
            inherit (cell) arch llvm;
            inherit flags;
          }}";
        };
      }
    else
      { };
  draftOf =
    cells:
    draft {
      matrix = read.name;
      inherit cells;
      artifacts = named;
      objects = builtins.foldl' (all: one: all // objectsOf one.cell) { } cells;
      kernels = kernels // extraKernels;
      budget = intersectAttrs {
        max_insns = null;
        max_growth_percent = null;
      } read.matrix;
      cmdline = read.matrix.cmdline or [ ];
      sysctl = read.matrix.sysctl or [ ];
    };
  cells = listToAttrs (
    map (planned: {
      name = cellName planned.cell;
      value = cell {
        inherit accel baseline mode;
        draft = draftOf [ planned ];
      };
    }) planned
  );
  hasManifests = builtins.any (artifact: artifact ? manifest) artifacts;
  whole = plan (
    draftOf planned
    // {
      inherit (expansion) excluded;
    }
    // (if hasManifests then { catalogue = map (kernel: kernel.name) (lock.kernels ++ own); } else { })
  );
  # A manifest may have a rule that covers no kernel, or require one that is not here: what one cell
  # cannot tell, the plan of all does.
  vouchers = if hasManifests then [ whole ] else [ ];
in
{
  inherit cells vouchers;
  inherit (read) name;
  plan = whole;
  report = report {
    inherit (read) name;
    inherit cells;
    plan = whole;
  };
  gate = gate {
    inherit (read) name;
    inherit cells vouchers;
  };
}
