// An iterator is used that was never initialized.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;

SEC("tc")
int first(struct __sk_buff *skb)
{
	struct bpf_iter_num it;
	int *value, sum = 0;

	while ((value = bpf_iter_num_next(&it)))
		sum += *value;
	return sum;
}

char LICENSE[] SEC("license") = "GPL";
