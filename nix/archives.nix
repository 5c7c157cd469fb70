# Where each archive that the lock names can be found, with the best address first. Any address will
# do, because packages are checked by their digest. The last address keeps what all others have
# removed.
{ }:
let
  # If the provenance says `2026-11-21`, the snapshot of the end of that day has the package.
  snapshot =
    archive: date:
    "https://snapshot.debian.org/archive/${archive}/${
      builtins.replaceStrings [ "-" ] [ "" ] date
    }T235959Z";
  # Other distributions' own servers.
  others = builtins.mapAttrs (_: archive: _: archive.roots) (
    builtins.fromTOML (builtins.readFile ../kernels/archives.toml)
  );
in
others
// {
  debian = date: [
    "mirror://debian"
    (snapshot "debian" date)
  ];
  # nixpkgs knows no mirrors of this archive.
  debian-security = date: [ (snapshot "debian-security" date) ];
}
