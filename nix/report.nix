# One report of all cells of a matrix, failed cells included, with its renderings and with the plan
# that runs the cells again.
{ runCommand, ukciUnwrapped }:
{
  name,
  # Cells by name.
  cells,
  # The plan of all cells.
  plan,
}:
runCommand "matrix-${name}"
  {
    inherit plan;
    cells = map (cell: cells.${cell}) (builtins.attrNames cells);
    nativeBuildInputs = [ ukciUnwrapped ];
  }
  ''
    # The status is 2 if a cell did not meet its expectation. Only the gate fails for that.
    status=0
    ukci report merge $cells --out "$out" || status=$?
    [ "$status" = 0 ] || [ "$status" = 2 ] || exit "$status"
    # The merge takes the plan of the first report, which has one cell only.
    set -- $cells
    cp "$plan" "$out/plan.json"
    sed -i "s|\"$1/plan.json\"|\"$out/plan.json\"|" "$out/report.json"
    ukci report render "$out" --format markdown="$out/report.md" \
      --format junit="$out/junit.xml" --format html="$out/report.html"
  ''
