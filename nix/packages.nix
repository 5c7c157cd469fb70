# `packages.<system>`.
{
  archives,
  guests,
  initramfs,
  kernelOfNixpkgs,
  kernels,
  legacyPackages,
  lock,
  surface,
  ukci,
  ukciUnwrapped,
  system,
}:
let
  inherit (builtins)
    all
    attrNames
    concatMap
    elemAt
    filter
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
  # Some pins only have a digest: nobody knows a public address of their packages.
  hasAddress = entry: all (package: archives ? ${package.archive}) entry.packages;
  locked = concatMap (
    entry: ofKernel entry.name entry.arch kernels."${entry.name}/${entry.arch}"
  ) (filter hasAddress lock.kernels);
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
