# The tool for people, which finds the lock, the agents of some architectures, QEMU, the vsock device
# and the keys of Debian.
{
  debian-archive-keyring,
  guests,
  lockFiles,
  makeWrapper,
  qemu,
  runCommand,
  ukciUnwrapped,
  vhost-device-vsock,
}:
# Each agent but that of this system needs cross compilers.
arches:
runCommand "ukci"
  {
    inherit arches;
    agents = map (arch: "${guests.${arch}}/bin/ukci-guest") arches;
    lock = "${lockFiles}/lock.json";
    keyrings = "${debian-archive-keyring}/share/keyrings";
    path = "${qemu}/bin:${vhost-device-vsock}/bin";
    tool = "${ukciUnwrapped}/bin/ukci";
    nativeBuildInputs = [ makeWrapper ];
    meta.mainProgram = "ukci";
  }
  ''
    mkdir -p "$out/bin"
    set -- $agents
    wraps=
    for arch in $arches; do
      wraps="$wraps --set-default UKCI_AGENT_$(echo $arch | tr a-z A-Z) $1"
      shift
    done
    makeWrapper "$tool" "$out/bin/ukci" --set-default UKCI_LOCK "$lock" \
      --suffix UKCI_KEYRINGS : "$keyrings" --suffix PATH : "$path" $wraps
  ''
