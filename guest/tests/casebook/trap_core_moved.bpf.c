// Three members that mainline moved into other structs: the disk of a request, the disk of a bio, and the
// CPU of a task.
#include <linux/bpf.h>
#include "registers.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define RELOCATED __attribute__((preserve_access_index))

struct gendisk {
	int major;
} RELOCATED;

struct request {
	struct gendisk *rq_disk;
} RELOCATED;

struct bio {
	struct gendisk *bi_disk;
} RELOCATED;

struct task_struct {
	unsigned int cpu;
} RELOCATED;

int seen;

SEC("tp_btf/block_rq_complete")
int BPF_PROG(on_request, struct request *rq)
{
	struct gendisk *disk = BPF_CORE_READ(rq, rq_disk);

	seen = BPF_CORE_READ(disk, major);
	return 0;
}

SEC("kprobe/submit_bio")
int BPF_KPROBE(on_submit, struct bio *bio)
{
	struct gendisk *disk = BPF_CORE_READ(bio, bi_disk);

	seen = BPF_CORE_READ(disk, major);
	return 0;
}

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	seen = BPF_CORE_READ(task, cpu);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
