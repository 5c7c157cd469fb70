{
  description = "Load an eBPF object on every kernel you ship to, and say why where it fails";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      eachSystem =
        f:
        builtins.listToAttrs (
          map (system: {
            name = system;
            value = f system;
          }) systems
        );
      # Everything is made by the functions of `nix/`, of what `nix/surface.nix` takes of nixpkgs.
      ukci = eachSystem (
        system:
        import ./nix {
          root = ./.;
          surface = import ./nix/surface.nix nixpkgs.legacyPackages.${system};
        }
      );
      each = name: builtins.mapAttrs (_: scope: scope.${name}) ukci;
    in
    {
      apps = each "apps";
      checks = each "checks";
      legacyPackages = each "legacyPackages";
      packages = each "packages";
      devShells = builtins.mapAttrs (_: scope: { default = scope.shell; }) ukci;

      lib = {
        inherit eachSystem systems;
        expand = import ./nix/expand.nix;
        # `mkChecks { system; matrix; src | artifacts; … }`: see `nix/mkMatrix.nix`.
        mkChecks = { system, ... }@args: ukci.${system}.mkChecks (removeAttrs args [ "system" ]);
        mkMatrix = { system, ... }@args: ukci.${system}.mkMatrix (removeAttrs args [ "system" ]);
      };

      templates.default = {
        path = ./nix/template;
        description = "A BPF object, its matrix, and both as checks of a flake";
      };
    };
}
