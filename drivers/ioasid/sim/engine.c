// SPDX-License-Identifier: GPL-2.0
/*
 * Execution of the commands of an endpoint: each in a work item of its own, so
 * that a command that waits for a page does not delay others. Everything is
 * allocated when the device is opened, so that no command allocates. The user can
 * change region 1 at any time, so nothing there may be used before it is copied.
 */
#include <linux/crc32.h>
#include <linux/iommu.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "engine.h"

/* Fields that an opcode uses, besides opcode, flags and tag */
#define SIM_IOVA	BIT(0)	/* and length, and pasid */
#define SIM_TO		BIT(1)
#define SIM_BUFFER	BIT(2)
#define SIM_VALUE	BIT(3)

/**
 * struct sim_op - an opcode
 * @uses: fields that it uses, SIM_*
 * @flags: flags that it supports, IOASID_SIM_CMD_*
 * @unit: the length must be a multiple of it, in bytes
 * @max: largest length in bytes
 * @run: executes it, and sets result and bad_iova of the slot; returns 0 or a
 *	negative errno
 */
struct sim_op {
	u32 uses;
	u32 flags;
	u32 unit;
	u32 max;
	int (*run)(struct sim_slot *slot);
};

#define SIM_DMA_FLAGS \
	(IOASID_SIM_CMD_PASID | IOASID_SIM_CMD_PRIV | IOASID_SIM_CMD_REQUEST)

static struct ioasid_sim_completion *sim_completion(struct sim_slot *slot)
{
	return (void *)(slot->ep->memory + IOASID_SIM_COMPLETIONS +
			slot->nr * sizeof(struct ioasid_sim_completion));
}

static u8 *sim_buffer(struct sim_slot *slot)
{
	return slot->ep->memory + IOASID_SIM_BUFFER + slot->cmd.buffer;
}

/* --- execution -------------------------------------------------------------- */

static u32 sim_access(const struct ioasid_sim_command *cmd, u32 access)
{
	if (cmd->flags & IOASID_SIM_CMD_PRIV)
		access |= SIM_PRIV;
	if (cmd->flags & IOASID_SIM_CMD_REQUEST)
		access |= SIM_REQUEST;
	return access;
}

static int sim_dma(struct sim_slot *slot, u64 iova, void *data, u32 length, u32 access)
{
	struct sim_endpoint *ep = slot->ep;

	if (READ_ONCE(ep->drain))
		return -ECANCELED;
	cond_resched();
	return ioasid_sim_dma(ep->sdev, slot->cmd.pasid, iova, data, length,
			      sim_access(&slot->cmd, access), &slot->bad_iova);
}

static int sim_run_nop(struct sim_slot *slot)
{
	return 0;
}

static int sim_run_read(struct sim_slot *slot)
{
	return sim_dma(slot, slot->cmd.iova, sim_buffer(slot), slot->cmd.length, 0);
}

static int sim_run_write(struct sim_slot *slot)
{
	return sim_dma(slot, slot->cmd.iova, sim_buffer(slot), slot->cmd.length, SIM_WRITE);
}

static int sim_run_fill(struct sim_slot *slot)
{
	u64 *pattern = (u64 *)slot->scratch;
	u32 done, step, i;
	int rc = 0;

	for (i = 0; i < SIM_SCRATCH / sizeof(*pattern); i++)
		pattern[i] = slot->cmd.value;
	for (done = 0; !rc && done < slot->cmd.length; done += step) {
		step = min_t(u32, slot->cmd.length - done, SIM_SCRATCH);
		rc = sim_dma(slot, slot->cmd.iova + done, pattern, step, SIM_WRITE);
	}
	return rc;
}

static int sim_run_copy(struct sim_slot *slot)
{
	u32 done, step;
	int rc = 0;

	for (done = 0; !rc && done < slot->cmd.length; done += step) {
		step = min_t(u32, slot->cmd.length - done, SIM_SCRATCH);
		rc = sim_dma(slot, slot->cmd.iova + done, slot->scratch, step, 0);
		if (!rc)
			rc = sim_dma(slot, slot->cmd.to + done, slot->scratch, step, SIM_WRITE);
	}
	return rc;
}

static int sim_run_crc32(struct sim_slot *slot)
{
	u32 done, step, crc = ~0;
	int rc = 0;

	for (done = 0; !rc && done < slot->cmd.length; done += step) {
		step = min_t(u32, slot->cmd.length - done, SIM_SCRATCH);
		rc = sim_dma(slot, slot->cmd.iova + done, slot->scratch, step, 0);
		crc = crc32_le(crc, slot->scratch, step);
	}
	slot->result = ~crc;
	return rc;
}

static int sim_run_add(struct sim_slot *slot)
{
	return ioasid_sim_atomic_add(slot->ep->sdev, slot->cmd.pasid, slot->cmd.iova,
				     slot->cmd.value, &slot->result,
				     sim_access(&slot->cmd, SIM_WRITE), &slot->bad_iova);
}

/* Copies the records from region 1; returns 0 if one of them is invalid */
static u32 sim_get_pages(struct sim_slot *slot, struct ioasid_sim_page *pages)
{
	u32 i, nr = slot->cmd.length / sizeof(struct ioasid_sim_page_request);
	struct ioasid_sim_page_request record;

	for (i = 0; i < nr; i++) {
		/* The user may be writing there */
		data_race(memcpy(&record, sim_buffer(slot) + i * sizeof(record),
				 sizeof(record)));
		if (record.flags & ~(IOASID_SIM_PAGE_WRITE | IOASID_SIM_PAGE_PRIV) ||
		    record.__reserved)
			return 0;
		pages[i].addr = record.iova;
		pages[i].access = (record.flags & IOASID_SIM_PAGE_WRITE ? SIM_WRITE : 0) |
				  (record.flags & IOASID_SIM_PAGE_PRIV ? SIM_PRIV : 0);
	}
	return nr;
}

static void sim_expect_answer(struct sim_slot *slot)
{
	struct sim_endpoint *ep = slot->ep;

	reinit_completion(&slot->answered);
	spin_lock(&ep->running_lock);
	slot->group = SIM_NO_GROUP;
	slot->code = -ECANCELED;
	__set_bit(slot->nr, ep->waiting);
	spin_unlock(&ep->running_lock);
}

/* Waits for the response, unless raising the group failed with @rc */
static int sim_await_answer(struct sim_slot *slot, int rc)
{
	struct sim_endpoint *ep = slot->ep;

	if (!rc)
		wait_for_completion(&slot->answered);
	spin_lock(&ep->running_lock);
	__clear_bit(slot->nr, ep->waiting);
	spin_unlock(&ep->running_lock);
	return rc ?: slot->code;
}

static int sim_run_request(struct sim_slot *slot)
{
	struct ioasid_sim_page *pages = (void *)slot->scratch;
	u32 nr = sim_get_pages(slot, pages);
	int rc;

	static_assert(IOASID_SIM_MAX_PAGES * sizeof(*pages) <= SIM_SCRATCH);
	if (!nr)
		return -EINVAL;
	sim_expect_answer(slot);
	rc = ioasid_sim_request(slot->ep->sdev, slot->cmd.pasid, pages, nr, &slot->group);
	rc = sim_await_answer(slot, rc);
	if (rc < 0)
		return rc;
	slot->result = rc;
	slot->bad_iova = pages[0].addr;
	return rc == IOMMU_PAGE_RESP_SUCCESS ? 0 : -EIO;
}

static int sim_run_requests(struct sim_slot *slot)
{
	u32 nr = slot->cmd.length / 4096, good;
	int rc;

	rc = ioasid_sim_requests(slot->ep->sdev, slot->cmd.pasid, slot->cmd.iova, nr,
				 &good);
	slot->result = good;
	return rc ?: READ_ONCE(slot->ep->drain) ? -ECANCELED : 0;
}

/* Wakes up the slot that waits for @group, unless that was done before */
static void sim_answered(void *data, u32 group, u32 code)
{
	struct sim_endpoint *ep = data;
	u32 nr;

	spin_lock(&ep->running_lock);
	for_each_set_bit(nr, ep->waiting, IOASID_SIM_SLOTS) {
		if (READ_ONCE(ep->slots[nr].group) != group)
			continue;
		ep->slots[nr].code = code;
		__clear_bit(nr, ep->waiting);
		complete(&ep->slots[nr].answered);
		break;
	}
	spin_unlock(&ep->running_lock);
}

static const struct ioasid_sim_dev_ops sim_dev_ops = {
	.answered = sim_answered,
};

static const struct sim_op sim_ops[] = {
	[IOASID_SIM_OP_NOP] = { .run = sim_run_nop },
	[IOASID_SIM_OP_READ] = {
		.uses = SIM_IOVA | SIM_BUFFER, .flags = SIM_DMA_FLAGS,
		.unit = 1, .max = IOASID_SIM_BUFFER_BYTES, .run = sim_run_read,
	},
	[IOASID_SIM_OP_WRITE] = {
		.uses = SIM_IOVA | SIM_BUFFER, .flags = SIM_DMA_FLAGS,
		.unit = 1, .max = IOASID_SIM_BUFFER_BYTES, .run = sim_run_write,
	},
	[IOASID_SIM_OP_FILL] = {
		.uses = SIM_IOVA | SIM_VALUE, .flags = SIM_DMA_FLAGS,
		.unit = 1, .max = IOASID_SIM_MAX_LENGTH, .run = sim_run_fill,
	},
	[IOASID_SIM_OP_COPY] = {
		.uses = SIM_IOVA | SIM_TO, .flags = SIM_DMA_FLAGS,
		.unit = 1, .max = IOASID_SIM_MAX_LENGTH, .run = sim_run_copy,
	},
	[IOASID_SIM_OP_CRC32] = {
		.uses = SIM_IOVA, .flags = SIM_DMA_FLAGS,
		.unit = 1, .max = IOASID_SIM_MAX_LENGTH, .run = sim_run_crc32,
	},
	[IOASID_SIM_OP_ADD] = {
		.uses = SIM_IOVA | SIM_VALUE, .flags = SIM_DMA_FLAGS,
		.unit = 8, .max = 8, .run = sim_run_add,
	},
	[IOASID_SIM_OP_REQUEST] = {
		.uses = SIM_BUFFER, .flags = IOASID_SIM_CMD_PASID,
		.unit = sizeof(struct ioasid_sim_page_request),
		.max = IOASID_SIM_MAX_PAGES * sizeof(struct ioasid_sim_page_request),
		.run = sim_run_request,
	},
	[IOASID_SIM_OP_REQUESTS] = {
		.uses = SIM_IOVA, .flags = IOASID_SIM_CMD_PASID,
		.unit = 4096, .max = IOASID_SIM_MAX_LENGTH, .run = sim_run_requests,
	},
};

/* --- checks ------------------------------------------------------------------ */

static u32 sim_check_address(const struct sim_op *op, u64 address, u32 length)
{
	u64 last;

	if (check_add_overflow(address, (u64)length - 1, &last))
		return IOASID_SIM_BAD_ADDRESS;
	return address % op->unit ? IOASID_SIM_BAD_ADDRESS : IOASID_SIM_OK;
}

static u32 sim_check_pasid(struct sim_slot *slot)
{
	const struct ioasid_sim_command *cmd = &slot->cmd;
	struct ioasid_sim_info info;

	if (!(cmd->flags & IOASID_SIM_CMD_PASID))
		return cmd->pasid ? IOASID_SIM_BAD_PASID : IOASID_SIM_OK;
	ioasid_sim_get_info(slot->ep->sdev, &info);
	return cmd->pasid == IOASID_SIM_RID || cmd->pasid >> info.pasid_bits ?
		IOASID_SIM_BAD_PASID : IOASID_SIM_OK;
}

static u32 sim_check_buffer(const struct ioasid_sim_command *cmd)
{
	return cmd->buffer > IOASID_SIM_BUFFER_BYTES ||
	       cmd->length > IOASID_SIM_BUFFER_BYTES - cmd->buffer ?
		IOASID_SIM_BAD_BUFFER : IOASID_SIM_OK;
}

/* Unused fields must be 0, so that they can get a meaning later */
static u32 sim_check_unused(const struct sim_op *op, const struct ioasid_sim_command *cmd)
{
	bool bad = cmd->__reserved;

	bad |= !(op->uses & SIM_IOVA) && cmd->iova;
	bad |= !(op->uses & SIM_TO) && cmd->to;
	bad |= !(op->uses & SIM_BUFFER) && cmd->buffer;
	bad |= !(op->uses & SIM_VALUE) && cmd->value;
	return bad ? IOASID_SIM_BAD_FIELD : IOASID_SIM_OK;
}

static u32 sim_check_length(const struct sim_op *op, const struct ioasid_sim_command *cmd)
{
	if (!op->max)
		return cmd->length ? IOASID_SIM_BAD_LENGTH : IOASID_SIM_OK;
	return !cmd->length || cmd->length > op->max || cmd->length % op->unit ?
		IOASID_SIM_BAD_LENGTH : IOASID_SIM_OK;
}

static u32 sim_check_flags(const struct sim_op *op, const struct ioasid_sim_command *cmd)
{
	/* Supervisor accesses need a PASID */
	if (cmd->flags & IOASID_SIM_CMD_PRIV && !(cmd->flags & IOASID_SIM_CMD_PASID))
		return IOASID_SIM_BAD_FLAGS;
	return cmd->flags & ~op->flags ? IOASID_SIM_BAD_FLAGS : IOASID_SIM_OK;
}

static u32 sim_check(struct sim_slot *slot)
{
	const struct ioasid_sim_command *cmd = &slot->cmd;
	const struct sim_op *op;
	u32 status;

	if (cmd->opcode >= ARRAY_SIZE(sim_ops))
		return IOASID_SIM_BAD_OPCODE;
	op = &sim_ops[cmd->opcode];
	status = sim_check_flags(op, cmd);
	if (!status)
		status = sim_check_pasid(slot);
	if (!status)
		status = sim_check_length(op, cmd);
	if (!status)
		status = sim_check_unused(op, cmd);
	if (!status && op->uses & SIM_BUFFER)
		status = sim_check_buffer(cmd);
	if (!status && op->uses & SIM_IOVA)
		status = sim_check_address(op, cmd->iova, cmd->length);
	if (!status && op->uses & SIM_TO)
		status = sim_check_address(op, cmd->to, cmd->length);
	return status;
}

/* --- lifetime of a command ---------------------------------------------------- */

static u32 sim_status(struct sim_slot *slot, int rc)
{
	switch (rc) {
	case 0:
		return IOASID_SIM_OK;
	case -EFAULT:
		return IOASID_SIM_REFUSED;
	case -EIO:
		return IOASID_SIM_DENIED;
	case -ECANCELED:
	case -EINTR:
		return IOASID_SIM_CANCELED;
	default:
		slot->result = -rc;
		return IOASID_SIM_FAILED;
	}
}

static void sim_complete(struct sim_slot *slot, u32 status)
{
	struct ioasid_sim_completion *c = sim_completion(slot);
	struct sim_endpoint *ep = slot->ep;
	bool bad = status == IOASID_SIM_REFUSED || status == IOASID_SIM_DENIED;

	WRITE_ONCE(c->status, status);
	WRITE_ONCE(c->tag, slot->cmd.tag);
	WRITE_ONCE(c->bad_iova, bad ? slot->bad_iova : 0);
	WRITE_ONCE(c->result, slot->result);
	spin_lock(&ep->running_lock);
	/* Orders the rest of the completion before the state */
	smp_store_release(&c->state, IOASID_SIM_DONE);
	__clear_bit(slot->nr, ep->running);
	if (bitmap_empty(ep->running, IOASID_SIM_SLOTS))
		wake_up(&ep->idle);
	spin_unlock(&ep->running_lock);
	sim_irq_signal(ep, IOASID_SIM_IRQ_DONE);
}

static void sim_execute(struct work_struct *work)
{
	struct sim_slot *slot = container_of(work, struct sim_slot, work);
	u32 status = sim_check(slot);

	slot->result = 0;
	slot->bad_iova = 0;
	if (!status)
		status = sim_status(slot, READ_ONCE(slot->ep->drain) ? -ECANCELED :
				    sim_ops[slot->cmd.opcode].run(slot));
	sim_complete(slot, status);
}

static int sim_take_slots(struct sim_endpoint *ep, const unsigned long *wanted)
{
	struct ioasid_sim_completion *c = (void *)(ep->memory + IOASID_SIM_COMPLETIONS);
	u32 nr;

	spin_lock(&ep->running_lock);
	if (bitmap_intersects(ep->running, wanted, IOASID_SIM_SLOTS)) {
		spin_unlock(&ep->running_lock);
		return -EBUSY;
	}
	bitmap_or(ep->running, ep->running, wanted, IOASID_SIM_SLOTS);
	for_each_set_bit(nr, wanted, IOASID_SIM_SLOTS)
		WRITE_ONCE(c[nr].state, IOASID_SIM_RUNNING);
	spin_unlock(&ep->running_lock);
	return 0;
}

/**
 * sim_engine_ring() - start commands, all of them or none
 * @ep: an open endpoint
 * @slots: numbers of their slots
 * @nr: number of @slots, at most IOASID_SIM_SLOTS
 *
 * Context: sim_endpoint.lock is held; takes running_lock.
 *
 * Return: 0, -EINVAL if a slot does not exist or is named twice, -EBUSY if one is
 * in use.
 */
int sim_engine_ring(struct sim_endpoint *ep, const u32 *slots, u32 nr)
{
	const struct ioasid_sim_command *cmds = (void *)(ep->memory + IOASID_SIM_COMMANDS);
	DECLARE_BITMAP(wanted, IOASID_SIM_SLOTS) = { 0 };
	int rc;
	u32 i;

	lockdep_assert_held(&ep->lock);
	for (i = 0; i < nr; i++)
		if (slots[i] >= IOASID_SIM_SLOTS || __test_and_set_bit(slots[i], wanted))
			return -EINVAL;
	rc = sim_take_slots(ep, wanted);
	if (rc)
		return rc;
	for (i = 0; i < nr; i++) {
		struct sim_slot *slot = &ep->slots[slots[i]];

		/* The user may be writing there */
		data_race(memcpy(&slot->cmd, &cmds[slots[i]], sizeof(slot->cmd)));
		queue_work(ep->wq, &slot->work);
	}
	return 0;
}

/**
 * sim_engine_running() - count the commands that have not ended
 * @ep: an endpoint
 *
 * Context: any process; takes sim_endpoint.running_lock.
 *
 * Return: number of commands, which may change at any time.
 */
u32 sim_engine_running(struct sim_endpoint *ep)
{
	guard(spinlock)(&ep->running_lock);
	return bitmap_weight(ep->running, IOASID_SIM_SLOTS);
}

/* --- lifetime of an endpoint --------------------------------------------------- */

static bool sim_is_idle(struct sim_endpoint *ep)
{
	return !sim_engine_running(ep);
}

static void sim_cancel_waiting(struct sim_endpoint *ep)
{
	u32 nr;

	spin_lock(&ep->running_lock);
	for_each_set_bit(nr, ep->waiting, IOASID_SIM_SLOTS)
		complete(&ep->slots[nr].answered);
	bitmap_zero(ep->waiting, IOASID_SIM_SLOTS);
	spin_unlock(&ep->running_lock);
}

/*
 * Ends all commands. Resets repeatedly, since a command in progress can still
 * raise a page request after the reset.
 */
static int sim_drain(struct sim_endpoint *ep)
{
	int rc;

	lockdep_assert_held(&ep->lock);
	WRITE_ONCE(ep->drain, true);
	do {
		rc = ioasid_sim_reset(ep->sdev);
		sim_cancel_waiting(ep);
	} while (!wait_event_timeout(ep->idle, sim_is_idle(ep), msecs_to_jiffies(10)));
	/* The work items of ended commands may still be signalling */
	flush_workqueue(ep->wq);
	WRITE_ONCE(ep->drain, false);
	return rc;
}

/**
 * sim_engine_reset() - end all commands and clear the buffer
 * @ep: an open endpoint
 *
 * Commands in progress end as IOASID_SIM_CANCELED. Completions are kept, since
 * the user may wait for them, and domains stay attached.
 *
 * Context: sim_endpoint.lock is held; can sleep.
 *
 * Return: 0, or an error of ioasid_sim_reset().
 */
int sim_engine_reset(struct sim_endpoint *ep)
{
	int rc;

	lockdep_assert_held(&ep->lock);
	rc = sim_drain(ep);
	memset(ep->memory + IOASID_SIM_BUFFER, 0, IOASID_SIM_BUFFER_BYTES);
	return rc;
}

/**
 * sim_engine_close() - end all commands and free the memory
 * @ep: an open endpoint
 *
 * Context: sim_endpoint.lock is held; can sleep.
 */
void sim_engine_close(struct sim_endpoint *ep)
{
	lockdep_assert_held(&ep->lock);
	sim_drain(ep);
	ioasid_sim_set_ops(ep->sdev, NULL, NULL);
	kvfree(ep->slots);
	vfree(ep->memory);
	ep->slots = NULL;
	ep->memory = NULL;
}

/**
 * sim_engine_open() - make an endpoint ready for commands
 * @ep: a closed endpoint
 *
 * Context: sim_endpoint.lock is held; can sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int sim_engine_open(struct sim_endpoint *ep)
{
	u32 i;

	lockdep_assert_held(&ep->lock);
	ep->memory = __vmalloc(IOASID_SIM_MEMORY_BYTES,
			       GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN);
	ep->slots = kvcalloc(IOASID_SIM_SLOTS, sizeof(*ep->slots), GFP_KERNEL_ACCOUNT);
	if (!ep->memory || !ep->slots) {
		vfree(ep->memory);
		kvfree(ep->slots);
		return -ENOMEM;
	}
	for (i = 0; i < IOASID_SIM_SLOTS; i++) {
		ep->slots[i].ep = ep;
		ep->slots[i].nr = i;
		INIT_WORK(&ep->slots[i].work, sim_execute);
		init_completion(&ep->slots[i].answered);
	}
	ioasid_sim_set_ops(ep->sdev, &sim_dev_ops, ep);
	return 0;
}
