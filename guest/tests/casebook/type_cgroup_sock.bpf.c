// The life of a cgroup's sockets: creation (under both spellings), release, and the end of bind().
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 events;

SEC("cgroup/sock")
int created(struct bpf_sock *sk)
{
	__sync_fetch_and_add(&events, 1);
	return 1;
}

SEC("cgroup/sock_create")
int created_again(struct bpf_sock *sk)
{
	__sync_fetch_and_add(&events, 1);
	return 1;
}

SEC("cgroup/sock_release")
int released(struct bpf_sock *sk)
{
	__sync_fetch_and_add(&events, 1);
	return 1;
}

SEC("cgroup/post_bind4")
int bound4(struct bpf_sock *sk)
{
	__sync_fetch_and_add(&events, sk->src_port != 0);
	return 1;
}

SEC("cgroup/post_bind6")
int bound6(struct bpf_sock *sk)
{
	__sync_fetch_and_add(&events, sk->src_port != 0);
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
