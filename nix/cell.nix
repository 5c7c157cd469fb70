# One cell, which is booted, probed and judged inside the build. The output has what `ukci check
# --out` keeps (`report.json` and `cells/<cell>/`), `plan.json`, from which `ukci rerun` repeats the
# cell on another host, and `status`: 0 if the cell met its expectation, 2 if it did not. A failure
# is data, and is cached like a pass. Without a verdict the build fails, because the cause may be
# this host, and nothing of it may be cached.
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
  # `tcg` runs on any builder, `kvm` only on one that has KVM.
  accel ? "tcg",
  # `load` or `attach`.
  mode ? "attach",
  # The earlier report that the growth of the verifier's work is compared with.
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
    # The status of a cell that is not required is 0 even if there is no verdict.
    if [ "$status" != 0 ] && [ "$status" != 2 ] || grep -q '"outcome": "error"' "$out/report.json"; then
      echo "error: there is no verdict; the messages above say why" >&2
      exit 1
    fi
    echo "$status" >"$out/status"
  ''
