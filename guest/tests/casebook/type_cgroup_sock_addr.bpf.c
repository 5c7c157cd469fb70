// Every call of a cgroup's IP sockets that takes or gives an address.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

#define CALL(section, name)                                                                        \
	SEC("cgroup/" section)                                                                     \
	int name(struct bpf_sock_addr *ctx)                                                        \
	{                                                                                          \
		__sync_fetch_and_add(&calls, ctx->user_port != 0);                                 \
		return 1;                                                                          \
	}

CALL("bind4", bind4)
CALL("bind6", bind6)
CALL("connect4", connect4)
CALL("connect6", connect6)
CALL("sendmsg4", sendmsg4)
CALL("sendmsg6", sendmsg6)
CALL("recvmsg4", recvmsg4)
CALL("recvmsg6", recvmsg6)
CALL("getpeername4", getpeername4)
CALL("getpeername6", getpeername6)
CALL("getsockname4", getsockname4)
CALL("getsockname6", getsockname6)

char LICENSE[] SEC("license") = "GPL";
