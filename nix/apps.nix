# `apps.<system>`. All of them are the tool, or run it in a checkout.
{
  autotools,
  cc,
  rustTools,
  runCommand,
  ukci,
}:
let
  app =
    name: description: script:
    let
      program =
        runCommand name
          {
            inherit script;
            passAsFile = [ "script" ];
          }
          ''
            mkdir -p "$out/bin"
            cp "$scriptPath" "$out/bin/${name}"
            chmod +x "$out/bin/${name}"
          '';
    in
    {
      type = "app";
      program = "${program}/bin/${name}";
      meta = { inherit description; };
    };
  # What compiles the tests, and libbpf for some of them.
  path = builtins.concatStringsSep ":" (
    map (tool: "${tool}/bin") (
      [
        ukci
        cc
      ]
      ++ builtins.attrValues rustTools
      ++ builtins.attrValues autotools
    )
  );
  check = app "check" "Check an eBPF object on every kernel of a matrix" ''
    #!/bin/sh
    exec ${ukci}/bin/ukci check "$@"
  '';
in
{
  inherit check;
  default = check;
  test = app "test" "Run the tests of a checkout of ukci" ''
    #!/bin/sh
    PATH=${path}:$PATH
    exec cargo test --workspace "$@"
  '';
  update-kernels = app "update-kernels" "Renew the pins of kernels/lock.json" ''
    #!/bin/sh
    # The checkout's: the one that the tool is wrapped with cannot be written.
    export UKCI_LOCK="''${UKCI_LOCK-kernels/lock.json}"
    exec ${ukci}/bin/ukci kernels update "$@"
  '';
}
