// A section that names no program type: "missing BPF prog type, check ELF section name".
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("my_framework/handler")
int handler(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
