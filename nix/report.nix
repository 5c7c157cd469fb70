# The cells of a matrix as one report, failing cells included, and what is rendered from it.
{ runCommand, ukciUnwrapped }:
{
  name,
  # Cells by name.
  cells,
  # What must have been built, and is not looked at.
  vouchers ? [ ],
}:
runCommand "matrix-${name}"
  {
    inherit vouchers;
    cells = map (cell: cells.${cell}) (builtins.attrNames cells);
    nativeBuildInputs = [ ukciUnwrapped ];
  }
  ''
    ukci report merge $cells --out "$out"
    ukci report render "$out" --format markdown="$out/report.md" \
      --format junit="$out/junit.xml" --format html="$out/report.html"
  ''
