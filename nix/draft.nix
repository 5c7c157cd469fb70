# Cells with the paths of their files, which is all that is known before anything is built. `ukci
# plan --draft` reads the files and makes a plan of the draft.
{ guests }:
{
  # The name of the matrix.
  matrix,
  # The cells that `expand.nix` returns.
  cells,
  excluded ? 0,
  # Artifacts by name: `{ file, path, form }`. An artifact with a manifest also has `manifest`,
  # which is `{ file, path }`.
  artifacts,
  # The results of compiling sources (`toolchain.nix`), by `artifact/llvm-N/arch`: `{ clang, dir }`.
  objects ? { },
  # Boot files by `name/arch`.
  kernels,
  # The limits for the verifier's work on a program: `max_insns` and `max_growth_percent`.
  budget ? { },
  # The kernel arguments and settings for every cell.
  cmdline ? [ ],
  sysctl ? [ ],
}:
let
  inherit (builtins) listToAttrs map;
  byName =
    name: value:
    listToAttrs (
      map (planned: {
        name = name planned.cell;
        value = value planned.cell;
      }) cells
    );
  key = cell: "${cell.kernel}/${cell.arch}";
in
{
  schema = "ukci.draft/1";
  inherit
    budget
    cells
    excluded
    matrix
    objects
    ;
  artifacts = byName (cell: cell.artifact) (
    cell:
    let
      artifact = artifacts.${cell.artifact};
    in
    {
      inherit (artifact) form path;
      file = "${artifact.file}";
    }
    // (
      if artifact ? manifest then
        {
          manifest = artifact.manifest // {
            file = "${artifact.manifest.file}";
          };
        }
      else
        { }
    )
  );
  kernels = byName key (cell: {
    dir = "${kernels.${key cell} or (throw "there is no kernel `${key cell}`")}";
    inherit cmdline sysctl;
  });
  agents = byName (cell: cell.arch) (cell: "${guests.${cell.arch}}/bin/ukci-guest");
}
