// The same for a cgroup's Unix sockets: since 6.7.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

#define CALL(section, name)                                                                        \
	SEC("cgroup/" section)                                                                     \
	int name(struct bpf_sock_addr *ctx)                                                        \
	{                                                                                          \
		__sync_fetch_and_add(&calls, 1);                                                   \
		return 1;                                                                          \
	}

CALL("connect_unix", connect_unix)
CALL("sendmsg_unix", sendmsg_unix)
CALL("recvmsg_unix", recvmsg_unix)
CALL("getpeername_unix", getpeername_unix)
CALL("getsockname_unix", getsockname_unix)

char LICENSE[] SEC("license") = "GPL";
