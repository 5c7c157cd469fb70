// Sends an event through a perf buffer, and another one on kernels that have `bpf_loop`.
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

enum bpf_func_id___x { BPF_FUNC_loop___x = 181 };

struct event {
	__u32 kind;
	__u32 size;
};

struct event *unused __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_mkdir")
int on_mkdir(void *ctx)
{
	struct event event = { .kind = 7, .size = sizeof(event) };

	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, sizeof(event));
	if (bpf_core_enum_value_exists(enum bpf_func_id___x, BPF_FUNC_loop___x)) {
		event.kind = 8;
		bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, sizeof(event));
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
