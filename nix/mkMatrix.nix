# Another project's BPF matrix: `cells`, each a derivation with its evidence; `report`, one report
# of all of them; `gate`, which fails where one did not meet its expectation.
{ cellsOf }:
{
  # The matrix, a TOML file: docs/matrix.md of ukci.
  matrix,
  # A directory: every `*.bpf.c` in it is an artifact.
  src ? null,
  # Artifacts by name: objects (`*.o`, or a derivation that is one) and sources (`*.c`).
  artifacts ? { },
  # Further arguments for clang.
  flags ? [ ],
  # LLVM that compiles sources where the matrix names none.
  llvm ? "21",
  # Kernels beside those that ukci locks, by `name/arch`: directories from `ukci kernels unpack`.
  kernels ? { },
  # `kvm` asks for a builder that has it.
  accel ? "tcg",
  # `load` or `attach`.
  mode ? "attach",
}:
let
  inherit (builtins)
    attrNames
    filter
    head
    listToAttrs
    map
    match
    ;
  stem = file: match "(.*)[.]bpf[.]c" file;
  found =
    if src == null then
      { }
    else
      listToAttrs (
        map (file: {
          name = head (stem file);
          value = src + "/${file}";
        }) (filter (file: stem file != null) (attrNames (builtins.readDir src)))
      );
  all = found // artifacts;
  artifact =
    name:
    let
      file = all.${name};
      isSource = match ".*[.]c" (toString file) != null;
    in
    {
      inherit file name;
      form = if isSource then "source" else "object";
      # A name that has no store path in it: a report must not depend on where its files lie.
      path = name + (if isSource then ".bpf.c" else ".bpf.o");
    };
in
if all == { } then
  throw "mkMatrix: no artifact: give `src`, a directory with *.bpf.c, or `artifacts`"
else
  cellsOf {
    file = matrix;
    artifacts = map artifact (attrNames all);
    extraKernels = kernels;
    inherit
      accel
      flags
      llvm
      mode
      ;
  }
