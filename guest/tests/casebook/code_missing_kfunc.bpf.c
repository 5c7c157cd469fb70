// A bit iterator, which is three kfuncs: since 6.11.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_iter_bits {
	__u64 opaque[2];
} __attribute__((aligned(8)));

extern int bpf_iter_bits_new(struct bpf_iter_bits *it, const __u64 *unsafe_ptr__ign,
			     __u32 nr_words) __ksym;
extern int *bpf_iter_bits_next(struct bpf_iter_bits *it) __ksym;
extern void bpf_iter_bits_destroy(struct bpf_iter_bits *it) __ksym;

__u64 words[1] = { 0xff };
__u64 bits;

SEC("raw_tp/sched_switch")
int count(void *ctx)
{
	struct bpf_iter_bits it;

	bpf_iter_bits_new(&it, words, 1);
	while (bpf_iter_bits_next(&it))
		bits++;
	bpf_iter_bits_destroy(&it);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
