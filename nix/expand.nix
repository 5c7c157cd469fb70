# A matrix with artifacts: the cells that `Matrix::expand` in Rust comes to, in the same order.
# `make nix-check` compares the two on every matrix; what Rust refuses is refused here too, in
# fewer words. Nothing but builtins, so that it is evaluated without nixpkgs.
{
  # The file, read by `builtins.fromTOML`.
  matrix,
  # `[ { name, form } ]`: `form` is `object` or `source`; an object has no LLVM axis.
  artifacts,
  # The lock, with the kernels of every file.
  lock,
  # What `@name` stands for where a kernel is named: `name` to a list of kernels.
  groups ? (builtins.fromTOML (builtins.readFile ../kernels/groups.toml)).groups,
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
    isList
    isString
    length
    listToAttrs
    map
    match
    removeAttrs
    replaceStrings
    stringLength
    substring
    ;

  cellId = import ./cellId.nix;
  arches = [
    "x86_64"
    "aarch64"
    "riscv64"
  ];
  axes = [
    "artifacts"
    "kernels"
    "llvms"
    "arches"
  ];
  # The words for axes that the next release refuses, and those that replace them.
  oldWords = {
    artifact = "artifacts";
    kernel = "kernels";
    llvm = "llvms";
    arch = "arches";
  };
  # What a point has on an axis.
  keyOf = {
    artifacts = "artifact";
    kernels = "kernel";
    llvms = "llvm";
    arches = "arch";
  };

  refuse = message: throw "matrix: ${message}";
  # `value` where no key of `table` is unknown.
  known =
    what: keys: table: value:
    let
      others = attrNames (removeAttrs table keys);
    in
    if others == [ ] then value else refuse "unknown key `${head others}` in ${what}";

  # A value that may be written alone.
  listOf = value: if isList value then value else [ value ];

  # Whether `pattern`, in which `*` stands for any text, is for `name`.
  isFor =
    pattern: name:
    let
      special = [
        "\\"
        "^"
        "$"
        "."
        "|"
        "?"
        "+"
        "("
        ")"
        "["
        "]"
        "{"
        "}"
      ];
      escaped = replaceStrings special (map (c: "\\${c}") special) pattern;
    in
    pattern == name || match (replaceStrings [ "*" ] [ ".*" ] escaped) name != null;
  isGroup = pattern: substring 0 1 pattern == "@";
  isGlob = pattern: replaceStrings [ "*" ] [ "" ] pattern != pattern;
  # The same for a kernel, of which a pattern may name a group.
  isForKernel =
    pattern: kernel:
    let
      group = substring 1 (-1) pattern;
    in
    if !isGroup pattern then
      isFor pattern kernel
    else if hasAttr group groups then
      elem kernel groups.${group}
    else
      group == "all" || refuse "unknown group `${pattern}`";

  isLocked = kernel: arch: any (entry: entry.name == kernel && entry.arch == arch) lock.kernels;

  # What a pattern stands for on an architecture: itself, the kernels that it is for, or those of the
  # group `@name` that are locked for it.
  kernelsOf =
    pattern: arch:
    let
      group = substring 1 (-1) pattern;
      # What nobody has verified must be named.
      isHere = entry: entry.arch == arch && (entry.verified or "metadata") != "never";
      here = map (entry: entry.name) (filter isHere lock.kernels);
    in
    if isGlob pattern && !isGroup pattern then
      filter (isFor pattern) here
    else if !isGroup pattern then
      [ pattern ]
    else if group == "all" && !hasAttr group groups then
      here
    else
      filter (kernel: isLocked kernel arch) (groups.${group} or (refuse "unknown group `${pattern}`"));

  # The points of one `[[cells]]`: kernels, then architectures, then LLVMs.
  points =
    product:
    let
      orElse =
        instead: values:
        if values == [ ] then [ instead ] else values;
      named = orElse "x86_64" (listOf (product.arches or [ ]));
      llvms = orElse null (listOf (product.llvms or [ ]));
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
        if found == [ ] then refuse "no kernel of `${name}` is locked for these arches" else found
      ) (listOf product.kernels);

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

  # A rule in which each axis that it names is a list, under its new word.
  written =
    rule:
    let
      old = filter (word: rule ? ${word}) (attrNames oldWords);
      both = filter (word: rule ? ${oldWords.${word}}) old;
      renamed = listToAttrs (
        map (word: {
          name = oldWords.${word};
          value = rule.${word};
        }) old
      );
      new = removeAttrs rule old // renamed;
    in
    if both != [ ] then
      refuse "`${head both}` is the old name of `${oldWords.${head both}}`, and both are here"
    else
      builtins.mapAttrs (key: value: if elem key axes then listOf value else value) new;
  covers =
    among: rule: point:
    all (
      axis:
      let
        key = keyOf.${axis};
        fits = pattern: (if axis == "kernels" then isForKernel else isFor) pattern point.${key};
      in
      !(rule ? ${axis}) || (point ? ${key} && any fits rule.${axis})
    ) among;
  coversCell = covers axes;
  pointAxes = filter (axis: axis != "artifacts") axes;
  coversPoint = covers pointAxes;
  # Whether every entry of every axis covers one of these points.
  coversWithEach =
    among: rule:
    all (
      axis: all (entry: any (coversPoint (rule // { ${axis} = [ entry ]; })) among) (rule.${axis} or [ ])
    ) pointAxes;
  # An axis with an entry that is wrong whatever there is.
  isWrong =
    rule: axis:
    rule ? ${axis}
    && (
      rule.${axis} == [ ]
      || any (
        entry:
        !isString entry
        || match "[[:space:]]*" entry != null
        || stringLength entry > 256
        || (axis == "arches" && !elem entry arches)
        || (isGroup entry && axis != "kernels")
      ) rule.${axis}
    );

  everyPoint = concatMap points (matrix.cells or [ ]);
  # The points that are left when whole points are excluded.
  left = filter (
    point: !any (rule: !(rule ? artifacts) && coversPoint rule point) excluding
  ) everyPoint;

  checked =
    what: keys: among: authored:
    let
      rule = written authored;
    in
    known what (axes ++ keys) rule (
      if !any (axis: rule ? ${axis}) axes then
        refuse "a rule of ${what} names no axis"
      else if match "[[:space:]]*" (rule.reason or "") != null then
        refuse "a rule of ${what} has no reason"
      else if any (isWrong rule) axes then
        refuse "a rule of ${what} has an axis that can cover nothing"
      else if !any (coversPoint rule) among || !coversWithEach among rule then
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
