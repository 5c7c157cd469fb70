# The boot files of a locked kernel. ukci itself unpacks them, so they have the same bytes as in the
# cache of a run without Nix. They depend on the entry of this kernel in the lock and on no other
# entry.
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
