# The cells of a matrix as one report, failing cells included, what is rendered from it, and the
# plan to run them again from.
{ runCommand, ukciUnwrapped }:
{
  name,
  # Cells by name.
  cells,
  # All of them in one.
  plan,
}:
runCommand "matrix-${name}"
  {
    inherit plan;
    cells = map (cell: cells.${cell}) (builtins.attrNames cells);
    nativeBuildInputs = [ ukciUnwrapped ];
  }
  ''
    # It exits with 2 where a cell did not meet its expectation, which is for the gate to say.
    status=0
    ukci report merge $cells --out "$out" || status=$?
    [ "$status" = 0 ] || [ "$status" = 2 ] || exit "$status"
    # The report of the first has the plan of that cell alone.
    set -- $cells
    cp "$plan" "$out/plan.json"
    sed -i "s|\"$1/plan.json\"|\"$out/plan.json\"|" "$out/report.json"
    ukci report render "$out" --format markdown="$out/report.md" \
      --format junit="$out/junit.xml" --format html="$out/report.html"
  ''
