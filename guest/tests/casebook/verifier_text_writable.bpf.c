// The verifier reads the text when the program is loaded, so that it must not change.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char wanted[16];
int hits;

SEC("tracepoint/sched/sched_process_exec")
int on_exec(void *ctx)
{
	char comm[16];

	bpf_get_current_comm(comm, sizeof(comm));
	hits += !bpf_strncmp(comm, sizeof(comm), wanted);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
