# The boot files of a kernel that nixpkgs builds, with its own modules and configuration.
{ runCommand, ukciUnwrapped }:
{
  name,
  arch,
  # The derivation of a kernel, such as `linuxPackages_X.kernel`.
  kernel,
}:
runCommand "kernel-${name}-${arch}"
  {
    # `kernel.target` is the file name of the image. Newer kernels have their modules in an output
    # of their own.
    image = "${kernel}/${kernel.target}";
    modules = "${kernel.modules or kernel}";
    config = kernel.configfile;
    release = kernel.modDirVersion;
    nativeBuildInputs = [ ukciUnwrapped ];
  }
  ''
    ln -s "$image" ${kernel.target}
    ln -s "$config" "config-$release"
    ukci kernels unpack --image ./${kernel.target} --modules "$modules" --arch ${arch} --out "$out"
  ''
