// Tracepoints that only a module has (`nbd`), classic, raw and writable.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 requests;

SEC("tracepoint/nbd/nbd_send_request")
int classic(void *ctx)
{
	__sync_fetch_and_add(&requests, 1);
	return 0;
}

SEC("raw_tp/nbd_send_request")
int raw(void *ctx)
{
	__sync_fetch_and_add(&requests, 1);
	return 0;
}

SEC("raw_tp.w/nbd_send_request")
int writable(void *ctx)
{
	__sync_fetch_and_add(&requests, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
