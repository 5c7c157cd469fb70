// Forty programs on one function: a trampoline holds 38.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define P(n) SEC("fentry/vfs_read") int BPF_PROG(p##n) { return 0; }
#define TEN(n) P(n##0) P(n##1) P(n##2) P(n##3) P(n##4) P(n##5) P(n##6) P(n##7) P(n##8) P(n##9)
TEN(1) TEN(2) TEN(3) TEN(4)

char LICENSE[] SEC("license") = "GPL";
