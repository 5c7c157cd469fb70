{
  description = "Check that an eBPF object loads and attaches on every kernel you ship to, and explain why not";

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
      # The functions in `nix/` make everything, from what `nix/surface.nix` takes from nixpkgs.
      ukci = eachSystem (
        system:
        import ./nix {
          root = ./.;
          surface = import ./nix/surface.nix nixpkgs.legacyPackages.${system};
        }
      );
      each = name: builtins.mapAttrs (_: scope: scope.${name}) ukci;
      # Makes a function of one system take the system as one more argument.
      ofSystem =
        name:
        { system, ... }@args:
        let
          scope =
            ukci.${system} or (throw "ukci does not run on ${system}, only on ${toString systems}");
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
        # `nix/mkMatrix.nix` describes the arguments: `mkChecks { system; matrix; src | artifacts; …
        # }`.
        mkChecks = ofSystem "mkChecks";
        mkMatrix = ofSystem "mkMatrix";
      };

      templates.default = {
        path = ./nix/template;
        description = "A BPF object, its matrix, and both as checks of a flake";
      };
    };
}
