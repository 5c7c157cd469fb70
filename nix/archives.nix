# Where each archive that the lock names can be found, best first. The digest decides, so any will
# do; the last keeps what all others have dropped.
{ }:
let
  # `2026-11-21` of the provenance: the archive of that day's end has the package.
  snapshot =
    archive: date:
    "https://snapshot.debian.org/archive/${archive}/${builtins.replaceStrings [ "-" ] [ "" ] date}T235959Z";
in
{
  debian = date: [
    "mirror://debian"
    "https://deb.debian.org/debian"
    (snapshot "debian" date)
  ];
  debian-security = date: [
    "https://deb.debian.org/debian-security"
    "https://security.debian.org/debian-security"
    (snapshot "debian-security" date)
  ];
}
