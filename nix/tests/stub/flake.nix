{
  description = "Stands in for nixpkgs: the names of nix/surface.nix, made of what this host has";
  outputs = _: {
    legacyPackages = {
      x86_64-linux = import ./pkgs.nix "x86_64-linux";
      aarch64-linux = import ./pkgs.nix "aarch64-linux";
    };
  };
}
