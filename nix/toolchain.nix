# What a `.bpf.c` comes to, by one LLVM for one architecture: a directory with `object.bpf.o`, or
# with `refusal.txt`, what the compiler said where it refused the source. A refusal is data, and is
# cached; a compiler that died is neither. Nothing else of a cell's inputs depends on the LLVM.
{
  clangs,
  cross,
  isBuilt,
  libbpf,
  runCommand,
}:
{
  # Name of the artifact.
  name,
  # The source file. Of its directory only headers come along: one source is no input of another.
  # But the directory of a generated one is taken whole.
  file,
  # LLVM major.
  llvm,
  arch,
  # Further arguments for clang.
  flags ? [ ],
}:
let
  clang =
    clangs.${llvm}
      or (throw "no LLVM `${llvm}`: the flake has ${toString (builtins.attrNames clangs)}");
  # libbpf's `bpf_tracing.h` has its own words.
  target =
    {
      x86_64 = "x86";
      aarch64 = "arm64";
      riscv64 = "riscv";
    }
    .${arch};
in
runCommand "${name}-${arch}-llvm-${llvm}"
  {
    dir =
      if isBuilt file then
        dirOf file
      else
        builtins.path {
          path = dirOf file;
          name = "source";
          filter =
            path: type: type == "directory" || builtins.match ".*[.]h" path != null || path == toString file;
        };
    flags = toString flags;
    headers = "${libbpf}/include";
    # Of the architecture: `pt_regs` is another struct on each.
    uapi = "${cross.${arch}.linuxHeaders}/include";
    inherit (clang) program resources;
  }
  ''
    # From where the source lies, under a relative name: BTF quotes its lines, which clang reads
    # once more by the name it gives the file.
    cd "$dir"
    mkdir "$out"
    status=0
    LC_ALL=C "$program" -resource-dir="$resources" -g -O2 -Wall -target bpf \
      -D__TARGET_ARCH_${target} -fdebug-compilation-dir=. $flags -I"$headers" -idirafter "$uapi" \
      -c ${baseNameOf file} -o "$out/object.bpf.o" 2>"$TMPDIR/said" || status=$?
    cat "$TMPDIR/said" >&2
    case $status in
      0) ;;
      1) rm -f "$out/object.bpf.o" && cp "$TMPDIR/said" "$out/refusal.txt" ;;
      *) exit "$status" ;;
    esac
  ''
