# `legacyPackages.<system>`: every matrix of this repository, with the examples of the
# documentation.
{
  cellsOf,
  gate,
  root,
  runCommand,
  toolchain,
}:
let
  inherit (builtins)
    attrNames
    filter
    head
    listToAttrs
    map
    mapAttrs
    match
    readDir
    ;
  llvm = "21";
  stems =
    ending: dir:
    map (file: head (match "(.*)${ending}" file)) (
      filter (file: match ".*${ending}" file != null) (attrNames (readDir dir))
    );
  sources = root + "/docs/examples";
  # The examples are compiled once for all architectures, because they read no registers.
  objects = listToAttrs (
    map (name: {
      inherit name;
      value = toolchain {
        inherit llvm name;
        file = sources + "/${name}.bpf.c";
        arch = "x86_64";
      };
    }) (stems "[.]bpf[.]c" sources)
  );
  artifacts = map (name: {
    inherit name;
    form = "object";
    file = "${objects.${name}}/object.bpf.o";
    path = "docs/examples/${name}.bpf.o";
  }) (attrNames objects);
  matrices =
    listToAttrs (
      map (name: {
        inherit name;
        value = cellsOf {
          inherit artifacts;
          file = root + "/matrices/${name}.toml";
        };
      }) (stems "[.]toml" (root + "/matrices"))
    )
    // {
      # This matrix also says what each example must answer.
      examples = cellsOf {
        inherit artifacts;
        file = sources + "/matrix.toml";
      };
    };
in
{
  # nix-eval-jobs and Hydra only look into sets that have `recurseForDerivations`.
  cells = mapAttrs (_: matrix: matrix.cells // { recurseForDerivations = true; }) matrices // {
    recurseForDerivations = true;
  };
  gates = mapAttrs (_: matrix: matrix.gate) matrices;
  plans = mapAttrs (_: matrix: matrix.plan) matrices;
  reports = mapAttrs (_: matrix: matrix.report) matrices;
  # The one example that every kernel accepts, on each kernel of the quick matrix.
  smoke = gate {
    name = "smoke";
    cells = listToAttrs (
      map (name: {
        inherit name;
        value = matrices.quick.cells.${name};
      }) (filter (name: match "ringbuf-.*" name != null) (attrNames matrices.quick.cells))
    );
  };
  examples =
    runCommand "examples"
      {
        names = attrNames objects;
        objects = map (name: objects.${name}) (attrNames objects);
      }
      ''
        mkdir "$out"
        set -- $objects
        for name in $names; do
          cp "$1/object.bpf.o" "$out/$name.bpf.o"
          shift
        done
      '';
}
