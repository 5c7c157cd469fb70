# Makes derivations of a matrix with artifacts: each cell, the report of all cells, the gate and the
# plan.
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
  # The TOML file of the matrix.
  file,
  # `[ { name, form, file, path } ]`. If `form` is `source`, `file` is a C source. Otherwise it is
  # an object. An artifact with a manifest also has `manifest`, which is `{ file, path }`.
  artifacts,
  # More boot files than those of the lock, by `name/arch`.
  extraKernels ? { },
  # The LLVM that compiles a source if the matrix names none.
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
  # These kernels are pinned as well, by the lock of the flake that gives them.
  own = map (
    key:
    let
      parts = builtins.match "([^/]+)/([^/]+)" key;
    in
    if parts == null then
      throw "the name of the kernel `${key}` must be `name/arch`"
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
  # If the matrix names no LLVM for a source, the default one compiles it.
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
  # A manifest may have a rule that covers no kernel of the matrix, or may require a kernel that is
  # not in the matrix. Only the plan of all cells can tell, so the gate needs that plan.
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
