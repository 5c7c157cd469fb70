# The initramfs of a kernel: one archive with the agent and with the segment of this kernel.
{
  guests,
  runCommand,
  ukciUnwrapped,
}:
{
  name,
  arch,
  # The boot files of the kernel.
  kernel,
}:
runCommand "initramfs-${name}-${arch}"
  {
    inherit kernel;
    agent = "${guests.${arch}}/bin/ukci-guest";
    nativeBuildInputs = [ ukciUnwrapped ];
  }
  ''
    ukci kernels initramfs "$kernel" --agent "$agent" --out "$out"
  ''
