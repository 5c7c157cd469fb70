// A timer in a map's value, with a static callback: 5.15.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct value {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct value);
} timers SEC(".maps");

int ticks;

static int tick(void *map, __u32 *key, struct value *value)
{
	ticks++;
	return 0;
}

SEC("tc")
int start(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct value *value = bpf_map_lookup_elem(&timers, &zero);

	if (value) {
		bpf_timer_init(&value->timer, &timers, 1);
		bpf_timer_set_callback(&value->timer, tick);
		bpf_timer_start(&value->timer, 1000, 0);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
