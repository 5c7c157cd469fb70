/* What a loader does between open and load: constants, options, types, targets, sizes. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

extern int CONFIG_HZ __kconfig;

const volatile __u32 number = 7;
const volatile char text[16] = "before";
const volatile _Bool flag = 0;
const volatile __s16 list[4] = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
} without_size SEC(".maps");

/* The verifier takes constants for known: what stays reachable was not set. */
static int unless_set(void)
{
	if (number == 42 && flag && list[1] == -1 && text[0] == 'n' && CONFIG_HZ == 12345)
		return 0;
	/* No such stack: refused wherever it is reached. */
	asm volatile("r1 = *(u64 *)(r10 - 1024)" ::: "r1");
	return 1;
}

SEC("kprobe")
int on_open(void *ctx)
{
	return unless_set();
}

SEC("fentry")
int on_sync(void *ctx)
{
	return 0;
}

SEC("tracepoint")
int on_exec(void *ctx)
{
	__u32 key = 1;
	__u64 value = 2;

	bpf_map_update_elem(&without_size, &key, &value, 0);
	return 0;
}

SEC("uprobe")
int on_function(void *ctx)
{
	return 0;
}

SEC("socket_of_a_framework")
int filter(struct __sk_buff *skb)
{
	return 0;
}

SEC("?kprobe/do_sys_openat2")
int switched_on(void *ctx)
{
	return 0;
}

SEC("kprobe")
int nice_to_have(void *ctx)
{
	return 0;
}
