{
  description = "eBPF objects, checked on every kernel they are shipped to";

  # Wherever you have ukci from.
  inputs.ukci.url = "github:ukci/ukci";

  outputs =
    { ukci, ... }:
    {
      # One check a cell: `nix flake check --keep-going`.
      checks = ukci.lib.eachSystem (
        system:
        ukci.lib.mkChecks {
          inherit system;
          src = ./src;
          matrix = ./matrix.toml;
        }
      );
      # All cells as one report: `nix build .#report`.
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
