// `tp/` is `tracepoint/`: a missing one is missing under either name.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tp/nosuch/nosuch_event")
int on_event(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
