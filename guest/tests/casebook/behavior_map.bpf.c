// Counts how often pages of the page cache are read, by the function that marked them until folios
// came. It loads and attaches wherever the function is left, and counts nothing where nobody calls it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct counts {
	__u64 reads;
	__u64 marks;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counts);
} counts SEC(".maps");

__u64 opens;

static struct counts *mine(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&counts, &key);
}

SEC("kprobe/vfs_read")
int on_read(void *ctx)
{
	struct counts *found = mine();

	if (found)
		found->reads++;
	return 0;
}

SEC("kprobe/mark_page_accessed")
int on_mark(void *ctx)
{
	struct counts *found = mine();

	if (found)
		found->marks++;
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_openat")
int on_open(void *ctx)
{
	__sync_fetch_and_add(&opens, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
