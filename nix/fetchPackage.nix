# Downloads a package of a locked kernel by its digest.
{
  archives,
  fetchurl,
  storeName,
}:
# An entry of `kernels/lock.json`.
kernel:
# One of the packages of this entry.
package:
let
  roots =
    archives.${package.archive}
      or (throw "kernels/lock.json: `${kernel.name}`: nix/archives.nix does not know `${package.archive}`");
in
fetchurl {
  name = storeName (baseNameOf package.path);
  urls = map (root: "${root}/${package.path}") (roots kernel.provenance.date);
  inherit (package) sha256;
}
