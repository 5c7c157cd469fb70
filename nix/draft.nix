# Cells with the places of their files: what is known before anything is built. `ukci plan --draft`
# reads the files and makes a plan of it.
{ guests }:
{
  # Name of the matrix.
  matrix,
  # From `expand.nix`.
  cells,
  excluded ? 0,
  # Artifacts by name: `{ file, path, form }`, and `manifest`, where it has one: `{ file, path }`.
  artifacts,
  # What sources were compiled to, by `artifact/llvm-N/arch`: `{ clang, dir }` (`toolchain.nix`).
  objects ? { },
  # Boot files by `name/arch`.
  kernels,
  # What a program may cost the verifier: `max_insns`, `max_growth_percent`.
  budget ? { },
  # Kernel arguments and settings that hold for every cell.
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
    dir = "${kernels.${key cell} or (throw "no kernel `${key cell}`")}";
    inherit cmdline sysctl;
  });
  agents = byName (cell: cell.arch) (cell: "${guests.${cell.arch}}/bin/ukci-guest");
}
