# The files of the lock in the store. Other files beside them are left out, so that a change of those
# changes no derivation.
{ root }:
builtins.path {
  name = "lock";
  path = root + "/kernels";
  filter = path: type: type == "directory" || builtins.match ".*[.]json" path != null;
}
