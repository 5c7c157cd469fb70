{
  description = "A project whose cells go wrong in ways that are data";

  inputs.ukci.url = "github:ukci/ukci";

  outputs =
    { ukci, ... }:
    {
      packages = ukci.lib.eachSystem (
        system:
        let
          project = {
            inherit system;
            # `check.sh` puts two examples of ukci beside `refused.bpf.c`.
            src = ./src;
            matrix = ./matrix.toml;
            manifests = {
              # The first manifest is given as a file, the second one within its directory.
              unchecked_deref = ./manifests/unchecked_deref.toml;
              ringbuf = "${./manifests}/ringbuf.toml";
            };
          };
          stale = builtins.toFile "stale.toml" ''
            [[expect]]
            kernels = ["debian-9-*"]
            verdict = "pass"
            reason = "there is no such kernel"
          '';
        in
        {
          inherit (ukci.lib.mkMatrix project) gate plan report;
          stale = (ukci.lib.mkMatrix (project // { manifests.ringbuf = stale; })).gate;
          nobodys = (ukci.lib.mkMatrix (project // { manifests.rinbguf = stale; })).gate;
        }
      );
    };
}
