{
  description = "A project with an object and a source, by two LLVMs, and a manifest that names a file";

  inputs.ukci.url = "github:ukci/ukci";

  outputs =
    { ukci, ... }:
    {
      checks = ukci.lib.eachSystem (
        system:
        ukci.lib.mkChecks {
          inherit system;
          matrix = ./matrix.toml;
          src = ./src;
          # `check.sh` puts an example here, and into `src` a case of the casebook that replaces a
          # function. The program with that function lies beside the manifest, and the case does not
          # load without it.
          artifacts.ringbuf = ./ringbuf.bpf.o;
          manifests.type_freplace = "${./manifests}/type_freplace.manifest.toml";
          flags = [ "-DANSWER=42" ];
          kernels."nixpkgs-lts/x86_64" = ukci.packages.x86_64-linux.kernel-mainline-lts;
        }
      );
    };
}
