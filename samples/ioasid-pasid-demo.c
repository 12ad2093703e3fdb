// SPDX-License-Identifier: GPL-2.0
/*
 * A PCI device uses pointers of this program by PASID, and sends page requests with
 * another PASID, which this program answers. The device is ioasid-testdev of the
 * test machines, and the IOMMU driver is that of the kernel. Everything about
 * /dev/ioasid is in this file. Each step checks the device or the memory afterwards.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demo.h"

#define PAGE		4096UL
#define FRESH		(4 * PAGE)		/* memory that nobody has touched */
#define ASKED_AT	0x100000000ULL		/* where nothing is mapped */
#define GROUP		3			/* pages that the device asks for at once */
#define DEPTH		64			/* records that fit into the queue */
#define PATIENCE	10000			/* ms for anything to happen */

/* The reason of a failure; passed to all commands */
static struct ioasid_extack extack = { .size = sizeof(extack) };

/* --- the device ------------------------------------------------------------ */

/* Runs one command of the device; returns 0 or its error */
static int device_does(struct t_testdev *dev, struct t_testdev_cmd *cmd, double *us)
{
	u64 start = t_now_ns();
	int ret = t_testdev_run(dev, cmd);

	if (ret < 0)
		failed("the device: %s", strerror(-ret));
	*us = (t_now_ns() - start) / 1000.0;
	return ret;
}

static void open_endpoint(struct t_testdev *dev)
{
	int ret = t_testdev_open(dev, 0, VFIO_IOASID_IOMMU);

	if (ret == -ENOENT)
		failed("this machine has no ioasid-testdev (lab/vm run --testdev 1)");
	if (ret)
		failed("ioasid-testdev: %s: %s", t_vfio_step, strerror(-ret));
}

/* --- /dev/ioasid ------------------------------------------------------------- */

static u32 make_space(int ctx, u32 kind, u32 flags, const char *label)
{
	struct ioasid_alloc cmd = {
		.size = sizeof(cmd), .extack = (uintptr_t)&extack, .kind = kind, .flags = flags,
	};

	snprintf(cmd.label, sizeof(cmd.label), "%s", label);
	must(ctx, IOASID_ALLOC, &cmd, &extack, "making a space");
	return cmd.ioasid;
}

/* Binds the device to the context, and attaches its RID to @space */
static void attach_rid(int ctx, u32 space, struct t_testdev *dev)
{
	struct vfio_device_attach cmd = {
		.argsz = sizeof(cmd), .extack = (uintptr_t)&extack,
		.ioasid_fd = ctx, .device_fd = dev->vfio.device, .ioasid = space,
	};

	must(dev->vfio.container, VFIO_DEVICE_ATTACH, &cmd, &extack, "attaching the device");
	dev->vfio.dev_id = cmd.dev_id;
}

static u32 attach_pasid(int ctx, u32 dev_id, u32 space)
{
	struct ioasid_device_attach cmd = {
		.size = sizeof(cmd), .extack = (uintptr_t)&extack,
		.dev_id = dev_id, .ioasid = space, .pasid = IOASID_PASID_ANY,
	};

	must(ctx, IOASID_DEVICE_ATTACH, &cmd, &extack, "attaching a PASID");
	result("space %u is PASID %u of the device", space, cmd.pasid);
	return cmd.pasid;
}

static void show_device(int ctx, struct t_testdev *dev)
{
	struct ioasid_device_info info = {
		.size = sizeof(info), .extack = (uintptr_t)&extack, .dev_id = dev->vfio.dev_id,
	};
	u32 wanted = IOASID_DEVICE_PASID | IOASID_DEVICE_ATS | IOASID_DEVICE_PRI;

	must(ctx, IOASID_DEVICE_INFO, &info, &extack, "asking about the device");
	if ((info.caps & wanted) != wanted)
		failed("%s has no PASIDs, ATS or page requests here", info.name);
	result("%s, IOMMU group %u: PASIDs of %u bits, ATS, page requests", info.name,
	       info.group_id, info.pasid_bits);
}

static void nothing_pinned(int ctx)
{
	struct ioasid_info info = { .size = sizeof(info), .extack = (uintptr_t)&extack };

	must(ctx, IOASID_GET_INFO, &info, &extack, "asking what is pinned");
	if (info.nr_mappings || info.pinned)
		failed("memory of the process is mapped or pinned");
}

/* --- pointers ------------------------------------------------------------------ */

static void use_pointer(int ctx, struct t_testdev *dev, u32 pasid)
{
	static const char question[] = "Do you see what I see?";
	static const char answer[] = "Yes, and at the same address.";
	struct t_testdev_cmd cmd = {
		.opcode = TESTDEV_OP_READ, .pasid = pasid, .length = 32,
		.flags = TESTDEV_F_ATS | TESTDEV_F_PRI,
	};
	char *p = malloc(64), got[32];
	double us;

	if (!p)
		failed("no memory");
	memcpy(p, question, sizeof(question));
	cmd.addr = (uintptr_t)p;
	if (device_does(dev, &cmd, &us))
		failed("the device cannot read at %p", p);
	t_testdev_get(dev, 0, got, sizeof(got));
	if (memcmp(got, question, sizeof(question)))
		failed("the device has read something else");
	result("malloc() gave %p; the device has read there \"%s\" (%.0f us)", p, got, us);
	memcpy(got, answer, sizeof(answer));
	t_testdev_put(dev, 0, got, sizeof(got));
	cmd.opcode = TESTDEV_OP_WRITE;
	if (device_does(dev, &cmd, &us))
		failed("the device cannot write at %p", p);
	if (memcmp(p, answer, sizeof(answer)))
		failed("the device has written something else");
	result("it has written there \"%s\" (%.0f us)", p, us);
	nothing_pinned(ctx);
	cmd.pasid = IOASID_RID;
	cmd.flags = 0;
	if (!device_does(dev, &cmd, &us))
		failed("the device can write there without the PASID");
	result("nothing is mapped or pinned, and without the PASID it is blocked");
	free(p);
}

/* The kernel answers the page requests, as it handles faults of the process */
static void use_fresh_memory(struct t_testdev *dev, u32 pasid)
{
	struct t_testdev_cmd fill = {
		.opcode = TESTDEV_OP_FILL, .pasid = pasid, .length = FRESH, .data = '!',
		.flags = TESTDEV_F_ATS | TESTDEV_F_PRI,
	};
	u32 before = t_testdev_read32(dev, TESTDEV_REQUESTS), asked;
	char *fresh = mmap(NULL, FRESH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	double us;

	if (fresh == MAP_FAILED)
		failed("no memory");
	fill.addr = (uintptr_t)fresh;
	if (device_does(dev, &fill, &us) || t_not_byte(fresh, FRESH, '!') >= 0)
		failed("the device cannot write to fresh memory");
	asked = t_testdev_read32(dev, TESTDEV_REQUESTS) - before;
	if (!asked)
		failed("the device found memory that nobody had touched");
	result("%lu KiB at %p, never touched before: the device asked for %u pages, the kernel\n"
	       "       brought them, the device wrote (%.0f us)", FRESH / 1024, fresh, asked, us);
	munmap(fresh, FRESH);
}

/* --- page requests ---------------------------------------------------------------- */

struct queue {
	int fd;
	struct ioasid_fault_ring *ring;
	struct ioasid_fault_record *records;
	struct ioasid_fault_response *responses;
};

/* Makes a queue for the page requests of @space, and maps its ring */
static void make_queue(int ctx, u32 space, struct queue *q)
{
	struct ioasid_fault_queue make = {
		.size = sizeof(make), .extack = (uintptr_t)&extack, .depth = DEPTH, .eventfd = -1,
	};
	struct ioasid_fault_bind bind = {
		.size = sizeof(bind), .extack = (uintptr_t)&extack, .ioasid = space,
	};

	must(ctx, IOASID_FAULT_QUEUE, &make, &extack, "making a fault queue");
	q->fd = make.fd;
	q->ring = mmap(NULL, make.ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, q->fd, 0);
	if (q->ring == MAP_FAILED)
		failed("mapping the queue: %s", strerror(errno));
	q->records = (void *)((char *)q->ring + IOASID_FAULT_RECORDS);
	q->responses = (void *)((char *)q->ring + q->ring->responses);
	bind.queue_id = make.queue_id;
	must(ctx, IOASID_FAULT_BIND, &bind, &extack, "binding the queue");
}

/* Waits for the next record of the ring */
static struct ioasid_fault_record next_record(struct queue *q)
{
	struct pollfd p = { .fd = q->fd, .events = POLLIN };
	struct ioasid_fault_record record;
	u32 tail = q->ring->tail;

	if (__atomic_load_n(&q->ring->head, __ATOMIC_ACQUIRE) == tail &&
	    poll(&p, 1, PATIENCE) != 1)
		failed("no page request came");
	if (__atomic_load_n(&q->ring->head, __ATOMIC_ACQUIRE) == tail)
		failed("the queue has woken for nothing");
	record = q->records[tail % DEPTH];
	__atomic_store_n(&q->ring->tail, tail + 1, __ATOMIC_RELEASE);
	return record;
}

static void answer(struct queue *q, u64 cookie, u32 code)
{
	struct ioasid_fault_doorbell bell = { .size = sizeof(bell) };
	u32 head = q->ring->response_head;

	q->responses[head % DEPTH] = (struct ioasid_fault_response){
		.cookie = cookie, .code = code,
	};
	__atomic_store_n(&q->ring->response_head, head + 1, __ATOMIC_RELEASE);
	if (t_ioctl(q->fd, IOASID_FAULT_DOORBELL, &bell) || bell.done != 1)
		failed("the answer was not taken: %s", strerror(bell.first_error));
}

/* Reads all records of the next group; returns the last one */
static struct ioasid_fault_record next_group(struct queue *q, u32 pasid, u64 at)
{
	struct ioasid_fault_record r;
	u32 i;

	for (i = 0; i < GROUP; i++) {
		r = next_record(q);
		if (r.type != IOASID_FAULT_REQUEST || r.pasid != pasid || r.nr != GROUP ||
		    (r.addr & ~(PAGE - 1)) != at + i * PAGE)
			failed("a record that is not of this group");
		result("record: device %u, PASID %u, group %u, page %u of %u: %s of %#llx%s",
		       r.dev_id, r.pasid, r.group, i + 1, r.nr,
		       r.flags & IOASID_FAULT_WRITE ? "write" : "read",
		       (unsigned long long)r.addr, r.flags & IOASID_FAULT_LAST ? ", the last" : "");
	}
	return r;
}

static void map_at(int ctx, u32 space, void *mem, size_t length, u64 iova)
{
	struct ioasid_map_range range = {
		.addr = (uintptr_t)mem, .length = length, .iova = iova,
		.flags = IOASID_MAP_READ | IOASID_MAP_WRITE | IOASID_MAP_FIXED,
	};
	struct ioasid_map cmd = {
		.size = sizeof(cmd), .extack = (uintptr_t)&extack,
		.ioasid = space, .nr = 1, .ranges = (uintptr_t)&range,
		.range_size = sizeof(range),
	};

	must(ctx, IOASID_MAP, &cmd, &extack, "mapping memory");
}

static void answer_requests(int ctx, struct t_testdev *dev, struct queue *q, u32 space, u32 pasid)
{
	struct t_testdev_cmd read = {
		.opcode = TESTDEV_OP_READ, .pasid = pasid, .addr = ASKED_AT, .length = GROUP * PAGE,
		.flags = TESTDEV_F_ATS | TESTDEV_F_PRI | TESTDEV_F_GROUP,
	};
	static char got[GROUP * PAGE];
	char *mem = t_memory(T_ANON, GROUP * PAGE);
	struct ioasid_fault_record r;
	u64 start, asked, mapped, answered;

	if (!mem)
		failed("no memory");
	t_fill(mem, GROUP * PAGE, 7);
	start = t_now_ns();
	t_testdev_begin(dev, 1, &read);
	poll(&(struct pollfd){ .fd = q->fd, .events = POLLIN }, 1, PATIENCE);
	asked = t_now_ns();
	r = next_group(q, pasid, ASKED_AT);
	if (t_testdev_ended(dev, 1))
		failed("the device did not wait for the answer");
	mapped = t_now_ns();
	map_at(ctx, space, mem, GROUP * PAGE, ASKED_AT);
	mapped = t_now_ns() - mapped;
	answered = t_now_ns();
	answer(q, r.cookie, IOASID_FAULT_SUCCESS);
	if (t_testdev_end(dev, 1, &read, PATIENCE) || read.done != GROUP * PAGE)
		failed("the device did not go on after the answer");
	answered = t_now_ns() - answered;
	t_testdev_get(dev, 0, got, sizeof(got));
	if (t_differs(got, sizeof(got), 7) >= 0)
		failed("the device has read something else");
	result("answer to cookie %#llx: success; the device has read all %lu KiB, the right ones",
	       (unsigned long long)r.cookie, GROUP * PAGE / 1024);
	result("%.0f us from the access to the record, %.0f to map, %.0f from the answer to the end",
	       (asked - start) / 1000.0, mapped / 1000.0, answered / 1000.0);
}

static void refuse_requests(struct t_testdev *dev, struct queue *q, u32 pasid)
{
	struct t_testdev_cmd write = {
		.opcode = TESTDEV_OP_WRITE, .pasid = pasid, .addr = ASKED_AT + (1 << 20),
		.length = GROUP * PAGE, .flags = TESTDEV_F_ATS | TESTDEV_F_PRI | TESTDEV_F_GROUP,
	};
	struct ioasid_fault_record r;

	t_testdev_begin(dev, 1, &write);
	r = next_group(q, pasid, write.addr);
	answer(q, r.cookie, IOASID_FAULT_INVALID);
	if (t_testdev_end(dev, 1, &write, PATIENCE) != TESTDEV_E_INVALID)
		failed("the device did not notice that its request failed");
	result("answer to cookie %#llx: invalid; the device has given up, at %#llx",
	       (unsigned long long)r.cookie, (unsigned long long)write.fault_addr);
}

/* --- the tour ------------------------------------------------------------------------ */

int main(void)
{
	struct t_testdev dev;
	struct queue q;
	u32 rid, mm, faults, pasid;
	int ctx;

	printf("A PCI device on the pointers of this program: PASIDs and page requests\n"
	       "(times are those of an emulated machine)\n");
	step("Open a PCI device behind the IOMMU through VFIO, and attach it to an empty space:\n"
	     "    what it does without a PASID reaches nothing.");
	ctx = open("/dev/ioasid", O_RDWR | O_CLOEXEC);
	if (ctx < 0)
		failed("/dev/ioasid: %s", strerror(errno));
	open_endpoint(&dev);
	rid = make_space(ctx, IOASID_KIND_MAPPED, 0, "nothing");
	attach_rid(ctx, rid, &dev);
	show_device(ctx, &dev);

	step("Make the address space of this process a space, and attach it by PASID.");
	mm = make_space(ctx, IOASID_KIND_MM, 0, "process");
	pasid = attach_pasid(ctx, dev.vfio.dev_id, mm);

	step("Give the device plain pointers.");
	use_pointer(ctx, &dev, pasid);
	use_fresh_memory(&dev, pasid);

	step("Attach a second PASID to an empty space whose page requests come to this program,\n"
	     "    through a ring in memory, and let the device read where nothing is.");
	faults = make_space(ctx, IOASID_KIND_MAPPED, IOASID_ALLOC_FAULTS, "on demand");
	make_queue(ctx, faults, &q);
	pasid = attach_pasid(ctx, dev.vfio.dev_id, faults);
	answer_requests(ctx, &dev, &q, faults, pasid);

	step("Let it write where nothing shall be.");
	refuse_requests(&dev, &q, pasid);

	step("Close everything, in any order: the device's page tables and PASIDs are gone.");
	close(q.fd);
	t_testdev_close(&dev);
	close(ctx);

	printf("\ndemo: passed\n");
	return 0;
}
