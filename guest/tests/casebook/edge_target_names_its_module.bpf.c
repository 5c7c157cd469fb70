// libbpf takes MODULE:FUNCTION where it looks a target up in BTF. The module is not loaded until ukci
// loads it for this name.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("fentry/nf_conntrack:nf_ct_delete")
int on_delete(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
