# Boot files of a kernel that nixpkgs builds, with its own modules and configuration.
{ runCommand, ukciUnwrapped }:
{
  name,
  arch,
  # A kernel derivation: `linuxPackages_X.kernel`.
  kernel,
}:
runCommand "kernel-${name}-${arch}"
  {
    # `kernel.target` is the image's file name; newer kernels have their modules in an output.
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
