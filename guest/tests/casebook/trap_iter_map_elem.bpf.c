// An iterator over one map, which only its loader can name.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_iter__bpf_map_elem {
	void *meta, *map, *key, *value;
};

SEC("iter/bpf_map_elem")
int dump(struct bpf_iter__bpf_map_elem *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
