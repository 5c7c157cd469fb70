// Twenty programs that a 6.1 of Debian refuses, each for a reason of its own. The test puts 180 good
// ones behind them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct task_struct {
	int no_such_field;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[4]);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct prefix {
	__u32 bits;
	__u32 address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 64);
	__type(key, struct prefix);
	__type(value, __u64);
} refused_map SEC(".maps");

struct {
	__uint(type, 33); /* BPF_MAP_TYPE_ARENA, 6.9 */
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
} unknown_map SEC(".maps");

extern int bpf_iter_bits_new(void *it, const __u64 *words, __u32 count) __ksym;
extern _Bool CONFIG_FUNCTION_ERROR_INJECTION __kconfig;
static long (*const no_such_helper)(void) = (void *)213;

__u64 sink;

static __always_inline __u64 *look_up(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&counts, &key);
}

SEC("raw_tp/sched_switch")
int bad_null(void *ctx)
{
	return *look_up();
}

SEC("raw_tp/sched_switch")
int bad_offset(void *ctx)
{
	__u64 *value = look_up();

	return value ? value[bpf_get_prandom_u32()] : 0;
}

SEC("raw_tp/sched_switch")
int bad_loop(void *ctx)
{
	for (;;)
		asm volatile("");
	return 0;
}

SEC("raw_tp/sched_switch")
int bad_limit(void *ctx)
{
	__u64 x = bpf_get_prandom_u32();

	for (int i = 0; i < 1000000; i++)
		asm volatile(".rept 5000\n%0 ^= 1\n.endr" : "+r"(x));
	sink = x;
	return 0;
}

SEC("raw_tp/sched_switch")
int bad_helper(void *ctx)
{
	return no_such_helper();
}

SEC("raw_tp/sched_switch")
int bad_helper_for_type(void *ctx)
{
	char byte;

	return bpf_skb_load_bytes(ctx, 0, &byte, 1);
}

SEC("raw_tp/sched_switch")
int bad_stack(void *ctx)
{
	asm volatile("*(u64 *)(r10 + 8) = r1");
	return 0;
}

SEC("raw_tp/sched_switch")
int bad_register(void *ctx)
{
	int value;

	asm volatile("%0 = r7" : "=r"(value));
	return value;
}

SEC("raw_tp/sched_switch")
int bad_context(void *ctx)
{
	*(__u64 *)ctx = 1;
	return 0;
}

SEC("raw_tp/sched_switch")
int bad_reference(void *ctx)
{
	sink = (__u64)bpf_ringbuf_reserve(&events, 8, 0);
	return 0;
}

SEC("raw_tp/sched_switch")
int bad_kfunc(void *ctx)
{
	__u64 it[2];

	return bpf_iter_bits_new(it, &sink, 1);
}

SEC("raw_tp/sched_switch")
int bad_field(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, no_such_field);
}

SEC("raw_tp/sched_switch")
int bad_config(void *ctx)
{
	return CONFIG_FUNCTION_ERROR_INJECTION;
}

SEC("xdp")
int bad_map(struct xdp_md *ctx)
{
	struct prefix key = { .bits = 32 };

	return bpf_map_lookup_elem(&refused_map, &key) ? XDP_PASS : XDP_DROP;
}

SEC("raw_tp/sched_switch")
int bad_map_type(void *ctx)
{
	void *map = &unknown_map;

	asm volatile("" : : "r"(map));
	return 0;
}

SEC("xdp")
int bad_packet(struct xdp_md *ctx)
{
	return *(char *)(long)ctx->data;
}

SEC("fentry/no_such_function")
int BPF_PROG(bad_target)
{
	return 0;
}

SEC("netfilter")
int bad_type(void *ctx)
{
	return 1;
}

SEC("cgroup/bind4")
int bad_return(struct bpf_sock_addr *ctx)
{
	return 7;
}

SEC("freplace/replaced")
int bad_contract(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
