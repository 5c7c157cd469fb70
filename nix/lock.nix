# The lock: `kernels/lock.json` and the files of the distributions in `kernels/lock`.
root:
let
  inherit (builtins)
    attrNames
    concatMap
    fromJSON
    map
    readDir
    readFile
    sort
    ;
  main = fromJSON (readFile (root + "/kernels/lock.json"));
  families = map (file: fromJSON (readFile (root + "/kernels/lock/${file}"))) (
    attrNames (readDir (root + "/kernels/lock"))
  );
in
main
// {
  kernels = sort (a: b: a.name < b.name) (
    main.kernels ++ concatMap (family: family.kernels) families
  );
}
