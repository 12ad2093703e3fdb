// SPDX-License-Identifier: GPL-2.0
/*
 * Fault queues as the user sees them: a file with a ring that he maps, read()
 * and write() as the simple way, poll() and an eventfd, and a clock that answers
 * what nobody answers. What the user can write to is never believed: an index
 * of his that makes no sense is a full ring.
 */
#include <linux/anon_inodes.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include "queue.h"

/* Responses that write() takes at a time; on the stack */
#define IOASID_WRITE_BATCH	32

/* How often to look for groups that a reset has left behind, in a second */
#define IOASID_SWEEPS		10

static uint ioasid_records_per_context = 4 * IOASID_FAULT_MAX_DEPTH;
module_param_named(fault_records_per_context, ioasid_records_per_context, uint,
		   0644);
MODULE_PARM_DESC(fault_records_per_context,
		 "records that all fault queues of a context may have room for");

/* --- the ring ----------------------------------------------------------- */

/**
 * ioasid_queue_room() - how many records fit into the ring now
 * @q: the queue
 *
 * Return: that, 0 if what the user says makes no sense.
 */
u32 ioasid_queue_room(struct ioasid_queue *q)
{
	/* What is taken from the ring has been read before this index moved */
	u32 used = q->head - smp_load_acquire(&q->ring->tail);

	return used > q->depth ? 0 : q->depth - used;
}

void ioasid_queue_put_record(struct ioasid_queue *q,
			     const struct ioasid_fault_record *record)
{
	q->records[q->head & (q->depth - 1)] = *record;
	q->head++;
}

/**
 * ioasid_queue_publish() - let the user see the records that were put
 * @q: the queue
 */
void ioasid_queue_publish(struct ioasid_queue *q)
{
	/* The records before the index that says that they are there */
	smp_store_release(&q->published, q->head);
	/* The same for who has mapped the ring */
	smp_store_release(&q->ring->head, q->head);
	/* Pairs with poll_wait(): a user who finds the ring full never sleeps */
	if (wq_has_sleeper(&q->wait))
		wake_up_interruptible(&q->wait);
	if (q->eventfd)
		eventfd_signal(q->eventfd);
}

/**
 * ioasid_queue_arm() - see to it that what waits is looked after
 * @q: the queue
 */
void ioasid_queue_arm(struct ioasid_queue *q)
{
	struct ioasid_pending *p;
	long left;

	p = list_first_entry_or_null(&q->pending, struct ioasid_pending, node);
	if (!p || !q->deadline || q->dead)
		return;
	left = p->expires - jiffies;
	schedule_delayed_work(&q->work, clamp(left, 0L, (long)HZ / IOASID_SWEEPS));
}

static void ioasid_queue_work(struct work_struct *work)
{
	struct ioasid_queue *q = container_of(to_delayed_work(work),
					      struct ioasid_queue, work);
	struct ioasid_pending *p;
	u32 n;

	mutex_lock(&q->lock);
	ioasid_queue_sweep(q);
	/* A few at a time: page requests wait for the lock. The rest is next */
	for (n = 0; n < IOASID_WRITE_BATCH; n++) {
		p = list_first_entry_or_null(&q->pending, struct ioasid_pending,
					     node);
		if (!p || time_before(jiffies, p->expires))
			break;
		ioasid_pending_expired(q, p);
	}
	ioasid_queue_arm(q);
	mutex_unlock(&q->lock);
}

/* --- answers ------------------------------------------------------------- */

u64 ioasid_pending_cookie(struct ioasid_queue *q, struct ioasid_pending *p)
{
	return (u64)p->generation << 32 | (p - q->pool);
}

/* NULL for a cookie that does not name a group that waits */
static struct ioasid_pending *ioasid_pending_find(struct ioasid_queue *q,
						  u64 cookie)
{
	struct ioasid_pending *p;

	if (lower_32_bits(cookie) >= q->max_pending)
		return NULL;
	p = &q->pool[array_index_nospec(lower_32_bits(cookie), q->max_pending)];
	return p->group && p->generation == upper_32_bits(cookie) ? p : NULL;
}

static int ioasid_queue_respond(struct ioasid_queue *q,
				const struct ioasid_fault_response *r)
{
	struct ioasid_pending *p;

	if (r->code > IOASID_FAULT_FAILURE || r->__reserved)
		return -EINVAL;
	p = ioasid_pending_find(q, r->cookie);
	if (!p)
		return -ENOENT;
	return ioasid_pending_answer(q, p, r->code) ? 0 : -ENOENT;
}

/* The user can write there at any time: each field is read once */
static struct ioasid_fault_response ioasid_queue_response(struct ioasid_queue *q,
							  u32 i)
{
	const struct ioasid_fault_response *r = &q->responses[i & (q->depth - 1)];

	return (struct ioasid_fault_response) {
		.cookie = READ_ONCE(r->cookie),
		.code = READ_ONCE(r->code),
		.__reserved = READ_ONCE(r->__reserved),
	};
}

/* Some of the responses up to @end, so that page requests need not wait for all */
static void ioasid_queue_ring_some(struct ioasid_queue *q, u32 end,
				   struct ioasid_fault_doorbell *arg)
{
	struct ioasid_fault_response r;
	u32 n;
	int rc;

	for (n = 0; n < IOASID_WRITE_BATCH && q->response_tail != end; n++) {
		r = ioasid_queue_response(q, q->response_tail++);
		rc = ioasid_queue_respond(q, &r);
		if (!rc) {
			arg->done++;
			continue;
		}
		/* The others are not to blame: go on */
		if (!arg->failed++) {
			arg->first_cookie = r.cookie;
			arg->first_error = -rc;
		}
	}
	/* Read before the user may write there again */
	smp_store_release(&q->ring->response_tail, q->response_tail);
}

/* Takes what the user has put into the ring of responses */
static long ioasid_queue_doorbell(struct ioasid_queue *q,
				  struct ioasid_fault_doorbell __user *uarg)
{
	struct ioasid_fault_doorbell arg = { .size = sizeof(arg) };
	u32 end, size;
	bool more;

	if (get_user(size, &uarg->size))
		return -EFAULT;
	if (size < sizeof(arg))
		return -EINVAL;
	/* An answer that cannot be written is found before the deed */
	if (copy_to_user(uarg, &arg, sizeof(arg)))
		return -EFAULT;
	/* The responses were written before this index */
	end = smp_load_acquire(&q->ring->response_head);
	do {
		mutex_lock(&q->lock);
		/* Another thread can have rung meanwhile, and gone further */
		if (end - q->response_tail > q->depth) {
			mutex_unlock(&q->lock);
			if (arg.done || arg.failed)
				break;
			return -EINVAL;
		}
		ioasid_queue_ring_some(q, end, &arg);
		more = q->response_tail != end;
		ioasid_queue_tell_lost(q);
		mutex_unlock(&q->lock);
		cond_resched();
	} while (more);
	return copy_to_user(uarg, &arg, sizeof(arg)) ? -EFAULT : 0;
}

/* --- the file ------------------------------------------------------------ */

static bool ioasid_queue_empty(struct ioasid_queue *q)
{
	/* Pairs with ioasid_queue_publish() */
	return smp_load_acquire(&q->published) == READ_ONCE(q->ring->tail);
}

/* Readers are locked against each other, not against page requests */
static ssize_t ioasid_queue_take(struct ioasid_queue *q, char __user *buf,
				 size_t max)
{
	u32 tail = READ_ONCE(q->ring->tail), head;
	size_t n = 0;

	/* Pairs with ioasid_queue_publish() */
	head = smp_load_acquire(&q->published);
	if (head - tail > q->depth)
		return -EINVAL;
	for (; n < max && tail != head; tail++, n++)
		if (copy_to_user(buf + n * sizeof(*q->records),
				 &q->records[tail & (q->depth - 1)],
				 sizeof(*q->records)))
			break;
	if (!n && tail != head)
		return -EFAULT;
	/* Read before ioasid_queue_room() lets it be written again */
	smp_store_release(&q->ring->tail, tail);
	return n * sizeof(*q->records);
}

/* There is room again for the record that says what was lost */
static void ioasid_queue_say_lost(struct ioasid_queue *q)
{
	mutex_lock(&q->lock);
	ioasid_queue_tell_lost(q);
	mutex_unlock(&q->lock);
}

static ssize_t ioasid_queue_read(struct file *file, char __user *buf,
				 size_t count, loff_t *pos)
{
	struct ioasid_queue *q = file->private_data;
	size_t max = count / sizeof(*q->records);
	ssize_t rc;

	if (!max)
		return -EINVAL;
	for (;;) {
		if (mutex_lock_interruptible(&q->read_lock))
			return -ERESTARTSYS;
		rc = ioasid_queue_take(q, buf, max);
		mutex_unlock(&q->read_lock);
		if (rc > 0)
			ioasid_queue_say_lost(q);
		if (rc)
			return rc;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(q->wait, !ioasid_queue_empty(q)))
			return -ERESTARTSYS;
	}
}

/* How many of @nr responses were good; the first bad one ends it */
static u32 ioasid_queue_respond_some(struct ioasid_queue *q,
				     const struct ioasid_fault_response *r,
				     u32 nr, int *rc)
{
	u32 i;

	mutex_lock(&q->lock);
	for (i = 0; i < nr; i++) {
		*rc = ioasid_queue_respond(q, &r[i]);
		if (*rc)
			break;
	}
	ioasid_queue_tell_lost(q);
	mutex_unlock(&q->lock);
	return i;
}

/* User memory is never touched under the lock that page requests wait for */
static ssize_t ioasid_queue_write(struct file *file, const char __user *buf,
				  size_t count, loff_t *pos)
{
	struct ioasid_fault_response r[IOASID_WRITE_BATCH];
	struct ioasid_queue *q = file->private_data;
	size_t left = count / sizeof(*r), done = 0;
	int rc = 0;
	u32 nr, n;

	if (!count || count % sizeof(*r))
		return -EINVAL;
	while (left && !rc) {
		nr = min_t(size_t, left, ARRAY_SIZE(r));
		if (copy_from_user(r, buf + done * sizeof(*r),
				   nr * sizeof(*r))) {
			rc = -EFAULT;
			break;
		}
		n = ioasid_queue_respond_some(q, r, nr, &rc);
		done += n;
		left -= n;
		cond_resched();
	}
	return done ? done * sizeof(*r) : rc;
}

static __poll_t ioasid_queue_poll(struct file *file, poll_table *wait)
{
	struct ioasid_queue *q = file->private_data;

	poll_wait(file, &q->wait, wait);
	return EPOLLOUT | EPOLLWRNORM |
	       (ioasid_queue_empty(q) ? 0 : EPOLLIN | EPOLLRDNORM);
}

static long ioasid_queue_ioctl(struct file *file, unsigned int cmd,
			       unsigned long arg)
{
	if (cmd != IOASID_FAULT_DOORBELL)
		return -ENOTTY;
	return ioasid_queue_doorbell(file->private_data, (void __user *)arg);
}

static size_t ioasid_ring_bytes(u32 depth)
{
	return PAGE_ALIGN(IOASID_FAULT_RECORDS +
			  (size_t)depth * sizeof(struct ioasid_fault_record) +
			  (size_t)depth * sizeof(struct ioasid_fault_response));
}

static vm_fault_t ioasid_queue_fault(struct vm_fault *vmf)
{
	struct ioasid_queue *q = vmf->vma->vm_private_data;

	vmf->page = vmalloc_to_page((void *)q->ring +
				    (vmf->pgoff << PAGE_SHIFT));
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct ioasid_queue_vm_ops = {
	.fault = ioasid_queue_fault,
};

/* Page by page: memory that a memory cgroup pays for has no other way */
static int ioasid_queue_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct ioasid_queue *q = file->private_data;
	u64 pages = ioasid_ring_bytes(q->depth) >> PAGE_SHIFT;

	if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff ||
	    !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = q;
	vma->vm_ops = &ioasid_queue_vm_ops;
	return 0;
}

static void ioasid_queue_free(struct ioasid_queue *q)
{
	atomic_sub(q->depth, &q->ctx->nr_records);
	if (q->eventfd)
		eventfd_ctx_put(q->eventfd);
	vfree(q->ring);
	kvfree(q->pool);
	kfree_rcu(q, rcu);
}

static void ioasid_queue_last(struct kref *ref)
{
	ioasid_queue_free(container_of(ref, struct ioasid_queue, ref));
}

void ioasid_queue_put(struct ioasid_queue *q)
{
	if (q)
		kref_put(&q->ref, ioasid_queue_last);
}

/* False if nothing waits any more, and nothing will */
static bool ioasid_queue_end_some(struct ioasid_queue *q)
{
	struct ioasid_pending *p;
	bool more;
	u32 n;

	mutex_lock(&q->lock);
	q->dead = true;
	for (n = 0; n < IOASID_WRITE_BATCH && !list_empty(&q->pending); n++) {
		p = list_first_entry(&q->pending, struct ioasid_pending, node);
		ioasid_pending_answer(q, p, IOASID_FAULT_INVALID);
	}
	more = !list_empty(&q->pending);
	mutex_unlock(&q->lock);
	return more;
}

/* Whoever waits is answered; who comes later is refused at once */
static int ioasid_queue_release(struct inode *inode, struct file *file)
{
	struct ioasid_queue *q = file->private_data;
	struct ioasid_ctx *ctx = q->ctx;

	/* Before it is gone from the table: a detach looks for its groups there */
	while (ioasid_queue_end_some(q))
		cond_resched();
	xa_erase(&ctx->queues, q->id);
	cancel_delayed_work_sync(&q->work);
	ioasid_queue_put(q);
	ioasid_ctx_put(ctx);
	return 0;
}

static const struct file_operations ioasid_queue_fops = {
	.owner = THIS_MODULE,
	.release = ioasid_queue_release,
	.read = ioasid_queue_read,
	.write = ioasid_queue_write,
	.poll = ioasid_queue_poll,
	.unlocked_ioctl = ioasid_queue_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = ioasid_queue_mmap,
};

/* --- making one ------------------------------------------------------------ */

static int ioasid_check_queue(const struct ioasid_fault_queue *arg,
			      struct ioasid_explain *why)
{
	if (arg->__reserved)
		return ioasid_fail(why, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "a reserved field is not zero");
	why->value = arg->depth;
	if (!is_power_of_2(arg->depth) || arg->depth < IOASID_FAULT_MIN_DEPTH ||
	    arg->depth > IOASID_FAULT_MAX_DEPTH)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "%u records: a power of two from %u to %u",
				   arg->depth, IOASID_FAULT_MIN_DEPTH,
				   IOASID_FAULT_MAX_DEPTH);
	why->value = arg->max_pending;
	if (arg->max_pending > arg->depth)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "%u groups that wait, with %u records",
				   arg->max_pending, arg->depth);
	why->value = arg->deadline_ms;
	if (arg->deadline_ms > IOASID_FAULT_MAX_DEADLINE)
		return ioasid_fail(why, -EINVAL, IOASID_REASON_VALUE,
				   "a deadline of %u ms: %u at most",
				   arg->deadline_ms, IOASID_FAULT_MAX_DEADLINE);
	why->value = 0;
	return 0;
}

static int ioasid_queue_set_eventfd(struct ioasid_queue *q, s32 fd,
				    struct ioasid_explain *why)
{
	struct eventfd_ctx *eventfd;

	if (fd < 0)
		return 0;
	eventfd = eventfd_ctx_fdget(fd);
	if (IS_ERR(eventfd))
		return ioasid_fail(why, PTR_ERR(eventfd), IOASID_REASON_FD,
				   "%d is not an eventfd", fd);
	q->eventfd = eventfd;
	return 0;
}

/* Reserved before it is allocated; given back by ioasid_queue_free() */
static int ioasid_queue_charge(struct ioasid_ctx *ctx, u32 depth,
			       struct ioasid_explain *why)
{
	u32 limit = READ_ONCE(ioasid_records_per_context);
	u32 has = atomic_add_return(depth, &ctx->nr_records);

	if (has <= limit)
		return 0;
	atomic_sub(depth, &ctx->nr_records);
	why->value = limit;
	return ioasid_fail(why, -EDQUOT, IOASID_REASON_LIMIT,
			   "the fault queues of this context would have %u records: %u at most",
			   has, limit);
}

static struct ioasid_queue *ioasid_queue_alloc(struct ioasid_ctx *ctx,
					       const struct ioasid_fault_queue *arg)
{
	struct ioasid_queue *q = kzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);
	u32 i;

	if (!q) {
		atomic_sub(arg->depth, &ctx->nr_records);
		return NULL;
	}
	q->ctx = ctx;
	kref_init(&q->ref);
	mutex_init(&q->lock);
	mutex_init(&q->read_lock);
	INIT_LIST_HEAD(&q->free);
	INIT_LIST_HEAD(&q->pending);
	INIT_DELAYED_WORK(&q->work, ioasid_queue_work);
	init_waitqueue_head(&q->wait);
	q->depth = arg->depth;
	q->max_pending = arg->max_pending ?: arg->depth;
	q->max_per_pasid = arg->max_per_pasid ?: q->max_pending;
	q->deadline = msecs_to_jiffies(arg->deadline_ms ?:
				       IOASID_FAULT_DEADLINE);
	q->ring = __vmalloc(ioasid_ring_bytes(q->depth),
			    GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN);
	q->pool = kvcalloc(q->max_pending, sizeof(*q->pool),
			   GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!q->ring || !q->pool) {
		ioasid_queue_free(q);
		return NULL;
	}
	for (i = 0; i < q->max_pending; i++)
		list_add_tail(&q->pool[i].node, &q->free);
	q->records = (void *)q->ring + IOASID_FAULT_RECORDS;
	q->responses = (void *)(q->records + q->depth);
	q->ring->depth = q->depth;
	q->ring->responses = (void *)q->responses - (void *)q->ring;
	return q;
}

/* Gives it a file, and only then lets others find it */
static int ioasid_queue_install(struct ioasid_command *cmd,
				struct ioasid_queue *q)
{
	struct ioasid_fault_queue *arg = cmd->arg;
	struct file *file;
	int rc;

	rc = get_unused_fd_flags(O_CLOEXEC | O_RDWR);
	if (rc < 0)
		return ioasid_fail(cmd->why, rc, IOASID_REASON_LIMIT,
				   "no file descriptor is left");
	arg->fd = rc;
	file = anon_inode_getfile("[ioasid-fault]", &ioasid_queue_fops, q,
				  O_CLOEXEC | O_RDWR);
	if (IS_ERR(file)) {
		rc = ioasid_fail(cmd->why, PTR_ERR(file), IOASID_REASON_LIMIT,
				 "no file is left, or no memory for one");
		goto put_fd;
	}
	kref_get(&q->ctx->ref);
	rc = xa_alloc(&q->ctx->queues, &q->id, q, XA_LIMIT(1, S32_MAX),
		      GFP_KERNEL_ACCOUNT);
	if (rc) {
		ioasid_fail(cmd->why, rc, IOASID_REASON_NO_MEMORY,
			    "no memory for a fault queue");
		goto put_file;
	}
	arg->queue_id = q->id;
	arg->ring_bytes = ioasid_ring_bytes(q->depth);
	rc = ioasid_respond(cmd, sizeof(*arg));
	if (rc)
		goto put_file;
	fd_install(arg->fd, file);
	return 0;
put_file:
	/* Takes the queue with it */
	fput(file);
	put_unused_fd(arg->fd);
	return rc;
put_fd:
	put_unused_fd(arg->fd);
	ioasid_queue_put(q);
	return rc;
}

int ioasid_cmd_fault_queue(struct ioasid_command *cmd)
{
	struct ioasid_fault_queue *arg = cmd->arg;
	struct ioasid_queue *q;
	int rc = ioasid_check_queue(arg, cmd->why);

	if (!rc)
		rc = ioasid_queue_charge(cmd->ctx, arg->depth, cmd->why);
	if (rc)
		return rc;
	q = ioasid_queue_alloc(cmd->ctx, arg);
	if (!q)
		return ioasid_fail(cmd->why, -ENOMEM, IOASID_REASON_NO_MEMORY,
				   "no memory for a fault queue");
	rc = ioasid_queue_set_eventfd(q, arg->eventfd, cmd->why);
	if (!rc)
		return ioasid_queue_install(cmd, q);
	ioasid_queue_put(q);
	return rc;
}

/**
 * ioasid_queue_try() - find a queue by its id
 * @ctx: the context
 * @id: the id
 *
 * Return: the queue with a reference, or NULL.
 */
struct ioasid_queue *ioasid_queue_try(struct ioasid_ctx *ctx, u32 id)
{
	struct ioasid_queue *q;

	rcu_read_lock();
	q = xa_load(&ctx->queues, id);
	if (q && !kref_get_unless_zero(&q->ref))
		q = NULL;
	rcu_read_unlock();
	return q;
}

/**
 * ioasid_queue_get() - the same, and say so if there is none
 * @ctx: the context
 * @id: the id
 * @why: the reason if there is none
 *
 * Return: the queue with a reference, or ERR_PTR(-ENOENT).
 */
struct ioasid_queue *ioasid_queue_get(struct ioasid_ctx *ctx, u32 id,
				      struct ioasid_explain *why)
{
	struct ioasid_queue *q = ioasid_queue_try(ctx, id);

	if (q)
		return q;
	why->value = id;
	ioasid_fail(why, -ENOENT, IOASID_REASON_NO_QUEUE_ID,
		    "this context has no fault queue %u", id);
	return ERR_PTR(-ENOENT);
}
