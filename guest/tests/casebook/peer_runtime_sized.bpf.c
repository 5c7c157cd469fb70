// A map that the loader sizes by the number of CPUs, as the manifest says: the whole object and the
// program alone are loaded with the same edit, and the pass says so.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 0);
	__type(key, __u32);
	__type(value, __u64);
} per_cpu SEC(".maps");

SEC("raw_tp/sched_switch")
int count(void *ctx)
{
	__u32 cpu = bpf_get_smp_processor_id();
	__u64 *value = bpf_map_lookup_elem(&per_cpu, &cpu);

	if (value)
		__sync_fetch_and_add(value, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
