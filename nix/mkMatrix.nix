# The matrix of another project. It returns
#
#   cells   a derivation for each cell, with its evidence
#   report  one report of all cells
#   gate    a derivation that fails if a cell did not meet its expectation
#   plan    the plan of all cells, for `ukci check --plan`
{
  cellsOf,
  isBuilt,
  root,
  storeName,
}:
{
  # The matrix: a TOML file (see docs/matrix.md of ukci), or the name of a matrix of ukci, such as
  # `"quick"`.
  matrix,
  # A directory. Every `*.bpf.c` in it is an artifact.
  src ? null,
  # Artifacts by name. An object is a path `*.o`, or a derivation whose output is the object. A
  # source is a path `*.c`, or a string if a derivation generates the source.
  artifacts ? { },
  # Manifests by the names of their artifacts (see docs/manifest.md of ukci). Only the file itself
  # is copied. If the manifest names other files, give it within its directory:
  # `"${./manifests}/x.toml"`.
  manifests ? { },
  # More arguments for clang.
  flags ? [ ],
  # The LLVM that compiles sources if the matrix names none.
  llvm ? "21",
  # More kernels than those that ukci locks, by `name/arch`. Each is a directory from `ukci kernels
  # unpack`.
  kernels ? { },
  # The earlier report for `max_growth_percent` of the matrix.
  baseline ? null,
  # `kvm` needs a builder that has KVM.
  accel ? "tcg",
  # `load` or `attach`.
  mode ? "attach",
}:
let
  inherit (builtins)
    attrNames
    elem
    elemAt
    filter
    head
    isPath
    isString
    listToAttrs
    map
    match
    removeAttrs
    ;
  stem = file: match "(.*)[.]bpf[.]c" file;
  found =
    if src == null then
      { }
    else if isBuilt src then
      throw "mkMatrix: `src` is made by a derivation, so its files cannot be listed: name them in `artifacts`"
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
      # The report shows this name. It has no store path in it, so a report does not depend on where
      # files lie.
      path = name + (if isSource then ".bpf.c" else ".bpf.o");
    }
    // (if manifests ? ${name} then { manifest = manifestOf name manifests.${name}; } else { });
  manifestOf =
    name: file:
    let
      base = baseNameOf (toString file);
      ending = match ".*([.][a-z]+)" base;
    in
    {
      file =
        if isPath file then
          builtins.path {
            name = storeName base;
            path = file;
          }
        else
          file;
      path = name + (if ending == null then "" else elemAt ending 0);
    };
  nobodys = attrNames (removeAttrs manifests (attrNames all));
  listed = names: builtins.concatStringsSep ", " (map (name: "`${name}`") names);
  # Returns `value` if it is one of `among`.
  oneOf =
    what: among: value:
    if elem value among then
      value
    else
      throw "mkMatrix: there is no ${what} `${toString value}`; choose one of ${listed among}";
  ours = map (file: head (match "(.*)[.]toml" file)) (
    attrNames (builtins.readDir (root + "/matrices"))
  );
  isName = isString matrix && match "[a-z0-9_-]+" matrix != null;
in
if all == { } then
  throw "mkMatrix: there is no artifact: set `src` to a directory with *.bpf.c files, or set `artifacts`"
else if nobodys != [ ] then
  throw "mkMatrix: the manifest `${head nobodys}` belongs to no artifact; choose one of ${listed (attrNames all)}"
else
  cellsOf {
    file = if isName then root + "/matrices/${oneOf "matrix" ours matrix}.toml" else matrix;
    artifacts = map artifact (attrNames all);
    extraKernels = kernels;
    accel = oneOf "accelerator" [ "tcg" "kvm" ] accel;
    mode = oneOf "mode" [ "load" "attach" ] mode;
    inherit baseline flags llvm;
  }
