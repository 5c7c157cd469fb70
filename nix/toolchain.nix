# Compiles a `.bpf.c` with one LLVM for one architecture. The output is a directory with
# `object.bpf.o`. If the compiler refuses the source, the directory has its messages in
# `refusal.txt` instead, and the refusal is cached. If the compiler crashes, the build fails. No
# other input of a cell depends on the LLVM.
{
  clangs,
  cross,
  isBuilt,
  libbpf,
  runCommand,
}:
{
  # The name of the artifact.
  name,
  # The source file. Of its directory only the headers are copied, because sources do not depend on
  # each other. The directory of a generated source is used as it is.
  file,
  # The major version of LLVM.
  llvm,
  arch,
  # More arguments for clang.
  flags ? [ ],
}:
let
  clang =
    clangs.${llvm}
      or (throw "there is no LLVM `${llvm}`; the flake has ${toString (builtins.attrNames clangs)}");
  # `bpf_tracing.h` of libbpf has its own names for architectures.
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
    # These headers depend on the architecture, because each has its own `struct pt_regs`.
    uapi = "${cross.${arch}.linuxHeaders}/include";
    inherit (clang) program resources;
  }
  ''
    # clang runs in the directory of the source and gets a relative name. To quote lines of the
    # source in BTF, it opens the file again by that name.
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
