# `devShells.default`: what the Makefile and the tests call, but no kernel and no cell: entering
# it must not build the matrix.
{
  autotools,
  clangs,
  cross,
  mkShell,
  qemu,
  runCommand,
  rustTools,
  system,
  vhost-device-vsock,
}:
let
  inherit (clangs."21") program resources;
  arch = builtins.head (builtins.split "-" system);
  # Finds what Debian's finds: its own headers and the kernel's.
  clang =
    runCommand "clang"
      {
        script = ''
          #!/bin/sh
          exec ${program} -resource-dir=${resources} "$@" -idirafter ${cross.${arch}.linuxHeaders}/include
        '';
        passAsFile = [ "script" ];
      }
      ''
        mkdir -p "$out/bin"
        cp "$scriptPath" "$out/bin/clang"
        chmod +x "$out/bin/clang"
      '';
in
mkShell {
  packages =
    builtins.attrValues autotools
    ++ builtins.attrValues rustTools
    ++ [
      clang
      qemu
      vhost-device-vsock
    ];
  # The Makefile's default is Debian's name.
  CLANG = "clang";
}
