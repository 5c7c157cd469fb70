# The agents by architecture.
{ cross, guest }:
builtins.mapAttrs (arch: _: guest arch) cross
