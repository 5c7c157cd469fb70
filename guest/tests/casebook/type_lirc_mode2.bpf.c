// A decoder of infrared signals. Debian builds RC_CORE as a module, so CONFIG_BPF_LIRC_MODE2 is
// off and no Debian kernel has the type.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("lirc_mode2")
int decode(unsigned int *sample)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
