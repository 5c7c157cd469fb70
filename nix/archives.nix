# Where each archive that the lock names can be found, best first. The digest decides, so any will
# do; the last keeps what all others have dropped.
{ }:
let
  # `2026-11-21` of the provenance: the archive of that day's end has the package.
  snapshot =
    archive: date:
    "https://snapshot.debian.org/archive/${archive}/${
      builtins.replaceStrings [ "-" ] [ "" ] date
    }T235959Z";
in
{
  debian = date: [
    "mirror://debian"
    (snapshot "debian" date)
  ];
  # nixpkgs has no mirrors of it.
  debian-security = date: [ (snapshot "debian-security" date) ];
}
