# A matrix with artifacts: the cells that `Matrix::expand` in Rust comes to, in the same order.
# `make nix-check` compares the two on every matrix; what Rust refuses is refused here too, in
# fewer words. Nothing but builtins, so that it is evaluated without nixpkgs.
{
  # The file, read by `builtins.fromTOML`.
  matrix,
  # `[ { name, form } ]`: `form` is `object` or `source`; an object has no LLVM axis.
  artifacts,
  # `kernels/lock.json`.
  lock,
  # What `@name` stands for where a kernel is named: `name` to a list of kernels.
  groups ? (builtins.fromTOML (builtins.readFile ../kernels/streams.toml)).groups,
}:
let
  inherit (builtins)
    all
    any
    attrNames
    concatLists
    concatMap
    elem
    filter
    foldl'
    hasAttr
    head
    length
    listToAttrs
    map
    match
    removeAttrs
    substring
    ;

  cellId = import ./cellId.nix;
  arches = [
    "x86_64"
    "aarch64"
    "riscv64"
  ];
  axes = [
    "artifact"
    "kernel"
    "llvm"
    "arch"
  ];

  refuse = message: throw "matrix: ${message}";
  # `value` where no key of `table` is unknown.
  known =
    what: keys: table: value:
    let
      others = attrNames (removeAttrs table keys);
    in
    if others == [ ] then value else refuse "unknown key `${head others}` in ${what}";

  isLocked = kernel: arch: any (entry: entry.name == kernel && entry.arch == arch) lock.kernels;

  # What a name stands for on an architecture: itself, or the kernels of the group `@name` that are
  # locked for it.
  kernelsOf =
    name: arch:
    let
      group = substring 1 (-1) name;
    in
    if substring 0 1 name != "@" then
      [ name ]
    else if group == "all" && !hasAttr group groups then
      map (entry: entry.name) (filter (entry: entry.arch == arch) lock.kernels)
    else
      filter (kernel: isLocked kernel arch) (groups.${group} or (refuse "unknown group `${name}`"));

  # The points of one `[[cells]]`: kernels, then architectures, then LLVMs.
  points =
    product:
    let
      named = if product.arches or [ ] == [ ] then [ "x86_64" ] else product.arches;
      llvms = if product.llvms or [ ] == [ ] then [ null ] else product.llvms;
      point =
        kernel: arch: llvm:
        if !elem arch arches then
          refuse "unknown architecture `${arch}`"
        else if !isLocked kernel arch then
          refuse "kernel `${kernel}` is not locked for ${arch}"
        else
          { inherit kernel arch; } // (if llvm == null then { } else { inherit llvm; });
    in
    if product.kernels or [ ] == [ ] then
      refuse "these cells name no kernel"
    else
      concatMap (
        name:
        let
          of = arch: concatMap (kernel: map (point kernel arch) llvms) (kernelsOf name arch);
          found = concatMap of named;
        in
        if found == [ ] then refuse "no kernel of group `${name}` is locked for these arches" else found
      ) product.kernels;

  planned =
    artifact: product: point:
    known "[[cells]]" [ "kernels" "llvms" "arches" "memory" "cpus" "required" ] product {
      cell = {
        artifact = artifact.name;
      }
      // (if artifact.form == "source" then point else removeAttrs point [ "llvm" ]);
      expected.verdict = "pass";
      required = product.required or true;
      memory = product.memory or matrix.memory or 256;
      cpus = product.cpus or matrix.cpus or 1;
    };

  # Each cell once: the first of them. One that two products name must be the same in both.
  once =
    cells:
    let
      keyed = map (cell: {
        name = cellId cell.cell;
        value = cell;
      }) cells;
      # Of several of a name, `listToAttrs` takes the first.
      first = listToAttrs keyed;
      step =
        state: one:
        if first.${one.name} != one.value then
          refuse "two [[cells]] name `${one.name}` with different settings"
        else if hasAttr one.name state.seen then
          state
        else
          {
            seen = state.seen // {
              ${one.name} = true;
            };
            cells = state.cells ++ [ one.value ];
          };
    in
    # Quadratic where there are thousands of cells, so only where a name comes twice.
    if length (attrNames first) == length cells then
      cells
    else
      (foldl' step {
        seen = { };
        cells = [ ];
      } keyed).cells;

  # A rule with the kernels that its name or group stands for, by architecture: looked up once.
  lookedUp =
    rule:
    rule
    // {
      kernelsByArch = listToAttrs (
        map (arch: {
          name = arch;
          value = kernelsOf rule.kernel arch;
        }) arches
      );
    };
  covers =
    among: rule: point:
    all (
      axis:
      !(rule ? ${axis})
      || (
        if axis == "kernel" then
          elem point.kernel rule.kernelsByArch.${point.arch}
        else
          point ? ${axis} && point.${axis} == rule.${axis}
      )
    ) among;
  coversCell = covers axes;
  coversPoint = covers [
    "kernel"
    "llvm"
    "arch"
  ];

  everyPoint = concatMap points (matrix.cells or [ ]);
  # The points that are left when whole points are excluded.
  left = filter (
    point: !any (rule: !(rule ? artifact) && coversPoint rule point) excluding
  ) everyPoint;

  checked =
    what: keys: among: authored:
    let
      rule = lookedUp authored;
    in
    known what (axes ++ keys) authored (
      if !any (axis: rule ? ${axis}) axes then
        refuse "a rule of ${what} names no axis"
      else if match "[[:space:]]*" (rule.reason or "") != null then
        refuse "a rule of ${what} has no reason"
      else if !any (coversPoint rule) among then
        refuse "a rule of ${what} covers no cell"
      else
        rule
    );
  excluding = map (checked "[[exclude]]" [ "reason" ] everyPoint) (matrix.exclude or [ ]);
  expecting = map (
    rule:
    let
      good = checked "[[expect]]" [ "verdict" "code" "required" "reason" ] left rule;
    in
    if
      !elem good.verdict [
        "pass"
        "fail"
      ]
    then
      refuse "a matrix expects `pass` or `fail`, not `${good.verdict}`"
    else if good.verdict == "pass" && good ? code then
      refuse "a pass has no code"
    else if good.verdict == "fail" && !(good ? code) then
      refuse "an expected failure needs its code"
    else
      good
  ) (matrix.expect or [ ]);

  # The last rule that covers a cell says what is expected of it.
  expected =
    cell:
    foldl' (
      cell: rule:
      if coversCell rule cell.cell then
        cell
        // {
          expected = {
            inherit (rule) verdict reason;
          }
          // (if rule ? code then { inherit (rule) code; } else { });
          required = rule.required or cell.required;
        }
      else
        cell
    ) cell expecting;

  ofArtifact =
    artifact:
    let
      cells = once (concatMap (product: map (planned artifact product) (points product)) matrix.cells);
      kept = filter (cell: !any (rule: coversCell rule cell.cell) excluding) cells;
    in
    {
      cells = map expected kept;
      excluded = length cells - length kept;
    };

  each = map ofArtifact artifacts;
  # Rules are checked even where no artifact is there to be covered.
  rules = foldl' (n: rule: builtins.seq rule n) null (excluding ++ expecting);
in
known "the matrix"
  [
    "name"
    "memory"
    "cpus"
    "cmdline"
    "sysctl"
    "max_insns"
    "max_growth_percent"
    "cells"
    "exclude"
    "expect"
  ]
  matrix
  (
    if matrix.cells or [ ] == [ ] then
      refuse "it has no cells"
    else
      builtins.seq rules {
        cells = concatLists (map (one: one.cells) each);
        excluded = foldl' (sum: one: sum + one.excluded) 0 each;
      }
  )
