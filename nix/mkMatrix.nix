# Another project's BPF matrix: `cells`, each a derivation with its evidence; `report`, one report
# of all of them; `gate`, which fails where one did not meet its expectation; `plan`, all of it for
# `ukci check --plan`.
{
  cellsOf,
  isBuilt,
  root,
  storeName,
}:
{
  # The matrix: a TOML file (docs/matrix.md of ukci), or the name of one of ukci's own: `"quick"`.
  matrix,
  # A directory: every `*.bpf.c` in it is an artifact.
  src ? null,
  # Artifacts by name: objects (`*.o`, or a derivation that is one) and sources (`*.c`; a string
  # where a derivation generates it).
  artifacts ? { },
  # Manifests by the names of their artifacts: docs/manifest.md of ukci. A path is taken alone; one
  # that names files is given within its directory: `"${./manifests}/x.toml"`.
  manifests ? { },
  # Further arguments for clang.
  flags ? [ ],
  # LLVM that compiles sources where the matrix names none.
  llvm ? "21",
  # Kernels beside those that ukci locks, by `name/arch`: directories from `ukci kernels unpack`.
  kernels ? { },
  # A report that `max_growth_percent` of the matrix is held against.
  baseline ? null,
  # `kvm` asks for a builder that has it.
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
      throw "mkMatrix: `src` is made by a derivation, and not to be listed: name its files in `artifacts`"
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
  # `value` where it is one of `among`.
  oneOf =
    what: among: value:
    if elem value among then
      value
    else
      throw "mkMatrix: no ${what} is named `${toString value}`; there are ${listed among}";
  ours = map (file: head (match "(.*)[.]toml" file)) (
    attrNames (builtins.readDir (root + "/matrices"))
  );
  isName = isString matrix && match "[a-z0-9_-]+" matrix != null;
in
if all == { } then
  throw "mkMatrix: no artifact: give `src`, a directory with *.bpf.c, or `artifacts`"
else if nobodys != [ ] then
  throw "mkMatrix: no artifact is named `${head nobodys}`, as a manifest is; there are ${listed (attrNames all)}"
else
  cellsOf {
    file = if isName then root + "/matrices/${oneOf "matrix" ours matrix}.toml" else matrix;
    artifacts = map artifact (attrNames all);
    extraKernels = kernels;
    accel = oneOf "accelerator" [ "tcg" "kvm" ] accel;
    mode = oneOf "mode" [ "load" "attach" ] mode;
    inherit baseline flags llvm;
  }
