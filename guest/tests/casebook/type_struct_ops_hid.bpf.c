// A fix-up of an input device's reports, as udev-hid-bpf writes them: since 6.11, and only with
// CONFIG_HID_BPF. It attaches to a device, which a guest does not have.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct hid_bpf_ctx;

struct hid_bpf_ops {
	int hid_id;
	int (*hid_device_event)(struct hid_bpf_ctx *ctx, int report_type, __u64 source);
} __attribute__((preserve_access_index));

SEC("struct_ops/hid_device_event")
int BPF_PROG(device_event, struct hid_bpf_ctx *hid, int report_type, __u64 source)
{
	return 0;
}

SEC(".struct_ops.link")
struct hid_bpf_ops fixup = {
	.hid_device_event = (void *)device_event,
};

char LICENSE[] SEC("license") = "GPL";
