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
      # A function of one system's, which takes the system beside its own arguments.
      ofSystem =
        name:
        { system, ... }@args:
        let
          scope =
            ukci.${system} or (throw "ukci runs on ${toString systems}, and not on ${system}: build there");
        in
        scope.${name} (removeAttrs args [ "system" ]);
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
        mkChecks = ofSystem "mkChecks";
        mkMatrix = ofSystem "mkMatrix";
      };

      templates.default = {
        path = ./nix/template;
        description = "A BPF object, its matrix, and both as checks of a flake";
      };
    };
}
