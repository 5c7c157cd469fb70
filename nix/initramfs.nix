# What a kernel boots with: the agent and the kernel's own segment in one archive.
{
  guests,
  runCommand,
  ukciUnwrapped,
}:
{
  name,
  arch,
  # Its boot files.
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
