// SPDX-License-Identifier: GPL-2.0
/*
 * The file of a fault queue: a ring to be mapped, read() and write() as the
 * simple interface, and poll(). It must never access user memory under
 * ioasid_queue.lock, which page requests wait for.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include "queue.h"

/* User space can write there at any time, so read each field once */
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

/* Handles a batch of the responses up to @end, since page requests wait */
static void ioasid_queue_ring_some(struct ioasid_queue *q, u32 end,
				   struct ioasid_fault_doorbell *arg)
{
	struct ioasid_fault_response r;
	u32 n;
	int rc;

	lockdep_assert_held(&q->lock);
	for (n = 0; n < IOASID_QUEUE_BATCH && q->response_tail != end; n++) {
		r = ioasid_queue_response(q, q->response_tail++);
		rc = ioasid_queue_respond(q, &r);
		if (!rc) {
			arg->done++;
			continue;
		}
		/* A bad response does not affect the others */
		if (!arg->failed++) {
			arg->first_cookie = r.cookie;
			arg->first_error = -rc;
		}
	}
	/* Orders the reads before user space may reuse the entries */
	smp_store_release(&q->ring->response_tail, q->response_tail);
}

static int ioasid_queue_get_doorbell(struct ioasid_fault_doorbell *arg,
				     struct ioasid_fault_doorbell __user *uarg)
{
	u32 size;
	int rc;

	if (get_user(size, &uarg->size))
		return -EFAULT;
	if (size < sizeof(*arg))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	rc = copy_struct_from_user(arg, sizeof(*arg), uarg, size);
	if (rc)
		return rc;
	if (arg->flags || arg->__reserved)
		return -EOPNOTSUPP;
	*arg = (struct ioasid_fault_doorbell){ .size = size };
	/* Fails on unwritable memory before any response is consumed */
	return copy_to_user(uarg, arg, sizeof(*arg)) ? -EFAULT : 0;
}

/* Consumes the responses that user space has put into the ring */
static long ioasid_queue_doorbell(struct ioasid_queue *q,
				  struct ioasid_fault_doorbell __user *uarg)
{
	struct ioasid_fault_doorbell arg;
	bool more;
	u32 end;
	int rc;

	rc = ioasid_queue_get_doorbell(&arg, uarg);
	if (rc)
		return rc;
	/* Pairs with user space, which writes responses before the index */
	end = smp_load_acquire(&q->ring->response_head);
	do {
		spin_lock(&q->lock);
		/* Another doorbell may have consumed beyond @end meanwhile */
		if (end - q->response_tail > q->depth) {
			spin_unlock(&q->lock);
			if (arg.done || arg.failed)
				break;
			return -EINVAL;
		}
		ioasid_queue_ring_some(q, end, &arg);
		more = q->response_tail != end;
		ioasid_queue_report_lost(q);
		spin_unlock(&q->lock);
		cond_resched();
	} while (more);
	return copy_to_user(uarg, &arg, sizeof(arg)) ? -EFAULT : 0;
}

/* --- the file ----------------------------------------------------------- */

static bool ioasid_queue_empty(struct ioasid_queue *q)
{
	/* Pairs with ioasid_queue_publish() */
	return smp_load_acquire(&q->published) == READ_ONCE(q->ring->tail);
}

/* Copies without ioasid_queue.lock, so that page requests need not wait */
static ssize_t ioasid_queue_take(struct ioasid_queue *q, char __user *buf,
				 size_t max)
{
	u32 tail = READ_ONCE(q->ring->tail), head;
	size_t n = 0;

	lockdep_assert_held(&q->read_lock);
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
	/* Pairs with ioasid_queue_room(), which lets the records be reused */
	smp_store_release(&q->ring->tail, tail);
	return n * sizeof(*q->records);
}

/* After a read there is room for a LOST record that is due */
static void ioasid_queue_file_report_lost(struct ioasid_queue *q)
{
	guard(spinlock)(&q->lock);
	ioasid_queue_report_lost(q);
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
			ioasid_queue_file_report_lost(q);
		if (rc)
			return rc;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(q->wait, !ioasid_queue_empty(q)))
			return -ERESTARTSYS;
	}
}

/* Returns how many responses were accepted before the first bad one */
static u32 ioasid_queue_respond_some(struct ioasid_queue *q,
				     const struct ioasid_fault_response *r,
				     u32 nr, int *rc)
{
	u32 i;

	guard(spinlock)(&q->lock);
	for (i = 0; i < nr; i++) {
		*rc = ioasid_queue_respond(q, &r[i]);
		if (*rc)
			break;
	}
	ioasid_queue_report_lost(q);
	return i;
}

static ssize_t ioasid_queue_write(struct file *file, const char __user *buf,
				  size_t count, loff_t *pos)
{
	struct ioasid_fault_response r[IOASID_QUEUE_BATCH];
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

/* Mapped by page faults, since the ring is charged to a memory cgroup */
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

/* Answers all pending groups INVALID; later ones are answered at once */
static int ioasid_queue_release(struct inode *inode, struct file *file)
{
	struct ioasid_queue *q = file->private_data;
	struct ioasid_ctx *ctx = q->ctx;

	/* Before xa_erase(), since a detach finds groups by the table */
	while (ioasid_queue_end(q))
		cond_resched();
	xa_erase(&ctx->queues, q->id);
	cancel_delayed_work_sync(&q->work);
	/* Not cancelled: somebody else may wait for the eventfd */
	flush_work(&q->wake);
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

/**
 * ioasid_queue_open() - create the file of a queue, and publish its id
 * @q: the queue, whose reference is consumed, even on failure
 * @extack: the reason if it fails
 *
 * The file has a reference on the context. Its release answers what is pending,
 * releases the id and puts the queue, so a caller that fails afterwards only
 * needs fput().
 *
 * Context: can sleep.
 *
 * Return: the file, or ERR_PTR of -ENFILE if the system has no file left, or
 * -ENOMEM.
 */
struct file *ioasid_queue_open(struct ioasid_queue *q,
			       struct ioasid_extack *extack)
{
	struct file *file;
	int rc;

	file = anon_inode_getfile("[ioasid-fault]", &ioasid_queue_fops, q,
				  O_CLOEXEC | O_RDWR);
	if (IS_ERR(file)) {
		ioasid_queue_put(q);
		ioasid_fail(extack, PTR_ERR(file), IOASID_REASON_LIMIT,
			    "no file or no memory is left");
		return file;
	}
	kref_get(&q->ctx->ref);
	rc = ioasid_id_alloc(&q->ctx->queues, &q->ctx->next_queue, &q->id, q);
	if (!rc)
		return file;
	fput(file);
	ioasid_fail(extack, rc, IOASID_REASON_NO_MEMORY,
		    "no memory for a fault queue");
	return ERR_PTR(rc);
}
