// User-space probes whose sections name a function and no file, as libbpf 0.x took them: their own
// loader chooses the file (bashreadline). The rest of the object is judged.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("uretprobe/readline")
int on_return(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("uprobe/readline")
int on_entry(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getpid")
int on_getpid(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
