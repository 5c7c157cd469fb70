# Everything for one system. Each file of this directory is a function, and the names of its
# arguments say which of the values below it gets.
{
  # The source tree of ukci.
  root,
  # The result of `surface.nix` for a nixpkgs.
  surface,
}:
let
  inherit (builtins)
    functionArgs
    intersectAttrs
    ;
  call =
    file:
    let
      function = import file;
    in
    function (intersectAttrs (functionArgs function) scope);

  scope = surface // {
    inherit root surface;
    lock = import ./lock.nix root;
    lockSchema = scope.lock.schema;
    cellId = import ./cellId.nix;
    cellName = import ./cellName.nix;
    expand = import ./expand.nix;
    isBuilt = import ./isBuilt.nix;
    isGuestSource = call ./isGuestSource.nix;
    isSource = import ./isSource.nix;
    storeName = import ./storeName.nix;
    readMatrix = import ./readMatrix.nix;

    agreement = call ./agreement.nix;
    apps = call ./apps.nix;
    archives = call ./archives.nix;
    cell = call ./cell.nix;
    cellsOf = call ./cellsOf.nix;
    checks = call ./checks.nix;
    draft = call ./draft.nix;
    fetchPackage = call ./fetchPackage.nix;
    gate = call ./gate.nix;
    guest = call ./guest.nix;
    guests = call ./guests.nix;
    initramfs = call ./initramfs.nix;
    kernel = call ./kernel.nix;
    kernelOfNixpkgs = call ./kernelOfNixpkgs.nix;
    kernels = call ./kernels.nix;
    lockFiles = call ./lockFiles.nix;
    legacyPackages = call ./legacyPackages.nix;
    mkChecks = call ./mkChecks.nix;
    mkMatrix = call ./mkMatrix.nix;
    packages = call ./packages.nix;
    plan = call ./plan.nix;
    report = call ./report.nix;
    shell = call ./shell.nix;
    source = call ./source.nix;
    toolchain = call ./toolchain.nix;
    ukci = scope.ukciWith (builtins.attrNames scope.guests);
    ukciWith = call ./ukci.nix;
    ukciUnwrapped = call ./ukciUnwrapped.nix;
  };
in
scope
