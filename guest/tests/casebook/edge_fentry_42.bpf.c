// 42 programs of one kernel function, which has room for 38 of them (40 up to 5.12, 36 in 7.2).
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define ONE(n) \
	SEC("fentry/vfs_read") int p##n(void *ctx) { return 0; }
#define TEN(n) ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)

TEN(1)
TEN(2)
TEN(3)
TEN(4)
ONE(50)
ONE(51)

char LICENSE[] SEC("license") = "GPL";
