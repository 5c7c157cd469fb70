{
  description = "eBPF objects, checked on every kernel they are shipped to";

  # This is the repository that you have ukci from.
  inputs.ukci.url = "github:ukci/ukci";

  outputs =
    { ukci, ... }:
    {
      # `nix flake check --keep-going` runs one check per cell.
      checks = ukci.lib.eachSystem (
        system:
        ukci.lib.mkChecks {
          inherit system;
          src = ./src;
          matrix = ./matrix.toml;
        }
      );
      # `nix build .#report` makes one report of all cells.
      packages = ukci.lib.eachSystem (system: {
        inherit
          (ukci.lib.mkMatrix {
            inherit system;
            src = ./src;
            matrix = ./matrix.toml;
          })
          report
          ;
      });
    };
}
