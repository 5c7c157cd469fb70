# One cell: booted, probed and judged inside the build. Its output is what `ukci check --out` keeps
# (`report.json`, `cells/<cell>/`), `plan.json`, from which `ukci rerun` runs it again elsewhere, and
# `status`: 0 where the cell met its expectation, 2 where it did not. A failure is data, and is cached like a pass. No verdict fails the build: it may be the
# host's fault, and must not be remembered.
{
  cellName,
  qemu,
  runCommand,
  ukciUnwrapped,
  vhost-device-vsock,
}:
{
  # A draft (`draft.nix`) of one cell.
  draft,
  # `tcg` runs on any builder; `kvm` asks for one that has it.
  accel ? "tcg",
  # `load` or `attach`.
  mode ? "attach",
  # A report that the budget's growth is held against.
  baseline ? null,
}:
let
  planned = builtins.head draft.cells;
  against = if baseline == null then "" else "--baseline ${baseline}";
in
assert builtins.length draft.cells == 1;
runCommand "cell-${cellName planned.cell}"
  {
    draft = builtins.toJSON draft;
    passAsFile = [ "draft" ];
    nativeBuildInputs = [
      qemu
      ukciUnwrapped
      vhost-device-vsock
    ];
    requiredSystemFeatures = if accel == "kvm" then [ "kvm" ] else [ ];
  }
  ''
    export HOME=$TMPDIR XDG_CACHE_HOME=$TMPDIR/cache
    mkdir "$out"
    ukci plan --draft "$draftPath" --out "$out/plan.json"
    status=0
    ukci --no-progress check --plan "$out/plan.json" --accel ${accel} --mode ${mode} --jobs 1 \
      --timeout 120s --out "$out" ${against} || status=$?
    # A cell that is not required exits with 0 even where there is no verdict.
    if [ "$status" != 0 ] && [ "$status" != 2 ] || grep -q '"outcome": "error"' "$out/report.json"; then
      echo "no verdict: see above" >&2
      exit 1
    fi
    echo "$status" >"$out/status"
  ''
