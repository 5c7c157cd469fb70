// Helper 213, which no kernel has: the list ends at 211 (bpf_cgrp_storage_delete), and new functions
// are kfuncs since 6.2.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static long (*const no_such_helper)(void) = (void *)213;

SEC("raw_tp/sched_switch")
int call(void *ctx)
{
	return no_such_helper();
}

char LICENSE[] SEC("license") = "GPL";
