# `devShells.default`: the programs that the Makefile and the tests run. It has no kernels and no
# cells, because entering the shell must not build a matrix.
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
  # This clang finds its own headers and those of the kernel, as the one of Debian does.
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
  # The default in the Makefile is the name that Debian uses.
  CLANG = "clang";
}
