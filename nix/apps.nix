# `apps.<system>`. All of them are the tool, or run it in a checkout.
{
  rustTools,
  runCommand,
  ukci,
}:
let
  app =
    name: script:
    let
      program = runCommand name { inherit script; passAsFile = [ "script" ]; } ''
        mkdir -p "$out/bin"
        cp "$scriptPath" "$out/bin/${name}"
        chmod +x "$out/bin/${name}"
      '';
    in
    {
      type = "app";
      program = "${program}/bin/${name}";
    };
  check = app "check" ''
    #!/bin/sh
    exec ${ukci}/bin/ukci check "$@"
  '';
in
{
  inherit check;
  default = check;
  test = app "test" ''
    #!/bin/sh
    PATH=${ukci}/bin:${rustTools.cargo}/bin:${rustTools.rustc}/bin:$PATH
    exec cargo test --workspace "$@"
  '';
  update-kernels = app "update-kernels" ''
    #!/bin/sh
    exec ${ukci}/bin/ukci kernels update "$@"
  '';
}
