// 66 programs of one attach type, of which a cgroup has room for 64.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define ONE(n) \
	SEC("cgroup_skb/egress") int p##n(struct __sk_buff *skb) { return 1; }
#define TEN(n) ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)

TEN(1)
TEN(2)
TEN(3)
TEN(4)
TEN(5)
TEN(6)
ONE(70)
ONE(71)
ONE(72)
ONE(73)
ONE(74)
ONE(75)

char LICENSE[] SEC("license") = "GPL";
