# Fails if a cell did not meet its expectation, and names all such cells. The cells themselves are
# built in any case.
{ runCommand }:
{
  name,
  # Cells by name.
  cells,
  # Derivations that must build, although nothing reads their output.
  vouchers ? [ ],
}:
let
  names = builtins.attrNames cells;
in
runCommand "gate-${name}"
  {
    inherit names vouchers;
    outputs_ = map (cell: cells.${cell}) names;
  }
  ''
    set -- $outputs_
    for name in $names; do
      if [ "$(cat "$1/status")" != 0 ]; then
        echo "$name" >>unmet
      fi
      shift
    done
    if [ -e unmet ]; then
      echo "These cells did not meet their expectation:" >&2
      cat unmet >&2
      exit 1
    fi
    echo ${toString (builtins.length names)} >"$out"
  ''
