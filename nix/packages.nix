# `packages.<system>`.
{
  guests,
  initramfs,
  kernelOfNixpkgs,
  kernels,
  legacyPackages,
  surface,
  ukci,
  ukciUnwrapped,
  system,
}:
let
  inherit (builtins)
    attrNames
    concatMap
    elemAt
    listToAttrs
    map
    match
    replaceStrings
    ;
  arch = elemAt (match "([^-]*)-.*" system) 0;
  # Attribute names must not have dots. x86_64 is left out, because it is the default.
  attr =
    name: arch: replaceStrings [ "." ] [ "_" ] name + (if arch == "x86_64" then "" else "-${arch}");
  ofKernel = name: arch: kernel: [
    {
      name = "kernel-${attr name arch}";
      value = kernel;
    }
    {
      name = "initramfs-${attr name arch}";
      value = initramfs { inherit name arch kernel; };
    }
  ];
  locked = concatMap (
    key:
    let
      parts = match "([^/]*)/(.*)" key;
    in
    ofKernel (elemAt parts 0) (elemAt parts 1) kernels.${key}
  ) (attrNames kernels);
  mainline = concatMap (
    name:
    ofKernel "mainline-${name}" arch (kernelOfNixpkgs {
      inherit arch;
      name = "mainline-${name}";
      kernel = surface.kernels.${name};
    })
  ) (attrNames surface.kernels);
  named =
    prefix: table:
    map (name: {
      name = prefix + name;
      value = table.${name};
    }) (attrNames table);
in
listToAttrs (
  locked
  ++ mainline
  ++ named "guest-" guests
  ++ named "plan-" legacyPackages.plans
  ++ named "matrix-" legacyPackages.reports
)
// {
  inherit ukci;
  default = ukci;
  ukci-unwrapped = ukciUnwrapped;
  inherit (legacyPackages) examples;
}
