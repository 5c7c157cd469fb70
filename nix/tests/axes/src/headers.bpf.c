// What Debian's clang finds without being told: its own headers.
#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct answer {
	bool known;
	int number;
};

_Static_assert(offsetof(struct answer, number) == 4, "the layout of C");

SEC("tracepoint/syscalls/sys_enter_getpid")
int handle(void *ctx)
{
	struct answer answer = { .known = ctx != NULL, .number = ANSWER };

	return answer.known ? answer.number : 0;
}

char LICENSE[] SEC("license") = "GPL";
