# The boot files of every locked kernel, such as `kernels."debian-12-6.1/x86_64"`.
{ kernel, lock }:
builtins.listToAttrs (
  map (entry: {
    name = "${entry.name}/${entry.arch}";
    value = kernel entry;
  }) lock.kernels
)
