// Targets in three modules that nothing loads by itself, two of which need modules of their own:
// a function of nf_tables, tracepoints of kvm and xfs, and a raw tracepoint of xfs.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

#define COUNT(name)                                                                                \
	int name(void *ctx)                                                                        \
	{                                                                                          \
		__sync_fetch_and_add(&calls, 1);                                                   \
		return 0;                                                                          \
	}

SEC("kprobe/nft_do_chain")
COUNT(function)

SEC("tp/kvm/kvm_entry")
COUNT(event)

SEC("tp/xfs/xfs_read_extent")
COUNT(other_event)

SEC("raw_tp/xfs_read_extent")
COUNT(raw_event)

char LICENSE[] SEC("license") = "GPL";
