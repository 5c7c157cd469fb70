# `devShells.default`: what the Makefile and the tests call, but no kernel and no cell: entering
# it must not build the matrix.
{
  autotools,
  clangs,
  mkShell,
  qemu,
  rustTools,
  vhost-device-vsock,
}:
mkShell {
  packages =
    builtins.attrValues autotools
    ++ builtins.attrValues rustTools
    ++ [
      clangs."21"
      qemu
      vhost-device-vsock
    ];
  # The Makefile's default is Debian's name.
  CLANG = "clang";
}
