# A locked kernel's boot files, unpacked by ukci itself: the same bytes as in the store of a run
# without Nix. Depends on this kernel's entry of the lock and on no other.
{
  fetchPackage,
  lockSchema,
  runCommand,
  ukciUnwrapped,
}:
# An entry of `kernels/lock.json`.
kernel:
let
  lock = {
    schema = lockSchema;
    kernels = [ kernel ];
  };
in
runCommand "kernel-${kernel.name}-${kernel.arch}"
  {
    lock = builtins.toJSON lock;
    passAsFile = [ "lock" ];
    packages = map (fetchPackage kernel) kernel.packages;
    nativeBuildInputs = [ ukciUnwrapped ];
  }
  ''
    UKCI_LOCK=$lockPath ukci kernels unpack ${kernel.name} $packages --arch ${kernel.arch} --out "$out"
  ''
