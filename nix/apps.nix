# `apps.<system>`. Each app is the tool itself, or runs the tool in a checkout.
{
  autotools,
  cc,
  guests,
  rustTools,
  runCommand,
  ukci,
  ukciWith,
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
  # These compile the tests, and libbpf for some of the tests.
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
  # Each has one agent only, so that it needs no cross compilers for the others.
  checkOn =
    name: arch:
    app name "Check an eBPF object on the ${arch} kernels of a matrix" ''
      #!/bin/sh
      exec ${ukciWith [ arch ]}/bin/ukci check "$@"
    '';
  check = checkOn "check" "x86_64";
  others = builtins.removeAttrs guests [ "x86_64" ];
in
builtins.listToAttrs (
  map (arch: {
    name = "check-${arch}";
    value = checkOn "check-${arch}" arch;
  }) (builtins.attrNames others)
)
// {
  inherit check;
  default = check;
  test = app "test" "Run the tests of a checkout of ukci" ''
    #!/bin/sh
    PATH=${path}:$PATH
    exec cargo test --workspace "$@"
  '';
  update-kernels = app "update-kernels" "Renew the pins of kernels/lock.json" ''
    #!/bin/sh
    # This is the lock of the checkout. The one that the tool is wrapped with cannot be written.
    export UKCI_LOCK="''${UKCI_LOCK-kernels/lock.json}"
    exec ${ukci}/bin/ukci kernels update "$@"
  '';
}
