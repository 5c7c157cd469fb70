// Programs of twelve LSM hooks of cgroups, of which a kernel has room for ten at a time.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define ALLOWS(hook) \
	SEC("lsm_cgroup/socket_" #hook) int on_##hook(void *ctx) { return 1; }

ALLOWS(create)
ALLOWS(bind)
ALLOWS(connect)
ALLOWS(listen)
ALLOWS(accept)
ALLOWS(sendmsg)
ALLOWS(recvmsg)
ALLOWS(getsockname)
ALLOWS(getpeername)
ALLOWS(getsockopt)
ALLOWS(setsockopt)
ALLOWS(shutdown)

char LICENSE[] SEC("license") = "GPL";
