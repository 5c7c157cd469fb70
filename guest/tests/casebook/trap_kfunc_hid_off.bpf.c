// A kfunc of HID, which the cloud kernels are built without.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct hid_bpf_ctx;

extern __u8 *hid_bpf_get_data(struct hid_bpf_ctx *ctx, unsigned int offset, const __u64 size) __ksym;

SEC("fmod_ret/hid_bpf_device_event")
int on_event(__u64 *ctx)
{
	__u8 *data = hid_bpf_get_data((void *)ctx[0], 0, 8);

	return data ? data[0] : 0;
}

char LICENSE[] SEC("license") = "GPL";
