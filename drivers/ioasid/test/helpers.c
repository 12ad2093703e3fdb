// SPDX-License-Identifier: GPL-2.0
/*
 * Helpers of all KUnit suites of the core: seeds, user memory, an open /dev/ioasid
 * and its commands. They must never call the core other than by ioctl, as a program
 * does, where a command exists.
 */
#include <kunit/visibility.h>
#include <linux/anon_inodes.h>
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/resource.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "test.h"

static unsigned long test_seed;
module_param(test_seed, ulong, 0444);
MODULE_PARM_DESC(test_seed, "seed of the random tests; 0: a new one each time");

static unsigned int test_rounds = 100;
module_param(test_rounds, uint, 0444);
MODULE_PARM_DESC(test_rounds, "percent of the random tests' rounds, for slow machines");

/**
 * itest_seed() - start a sequence of random numbers
 * @test: the test; prints the seed
 * @rnd: out: the sequence
 *
 * Context: any.
 *
 * Return: the seed.
 */
u64 itest_seed(struct kunit *test, struct rnd_state *rnd)
{
	u64 seed = test_seed ?: get_random_u32() | 1;

	kunit_info(test, "ioasid.test_seed=%llu repeats this", seed);
	prandom_seed_state(rnd, seed);
	return seed;
}

/**
 * itest_rounds() - get the number of rounds of a random test
 * @all: number of rounds at 100 percent of the parameter test_rounds
 *
 * Context: any.
 *
 * Return: number of rounds, at least 1.
 */
u32 itest_rounds(u32 all)
{
	return DIV_ROUND_UP_ULL((u64)all * (test_rounds ?: 1), 100);
}

u32 itest_below(struct rnd_state *rnd, u32 n)
{
	return ((u64)prandom_u32_state(rnd) * n) >> 32;
}

static void itest_memory_at(struct kunit *test, u64 addr, u32 pages, int prot)
{
	u64 at = kunit_vm_mmap(test, NULL, addr, pages * PAGE_SIZE, prot,
			       MAP_PRIVATE | MAP_ANONYMOUS |
			       MAP_FIXED_NOREPLACE, 0);

	KUNIT_ASSERT_EQ(test, at, addr);
}

/**
 * itest_memory() - map the memory at ITEST_*
 * @test: the test
 *
 * Context: can sleep.
 */
void itest_memory(struct kunit *test)
{
	itest_memory_at(test, ITEST_ARG, 1, PROT_READ | PROT_WRITE);
	itest_memory_at(test, ITEST_EXT, 1, PROT_READ | PROT_WRITE);
	itest_memory_at(test, ITEST_VEC, ITEST_VEC_PAGES,
			PROT_READ | PROT_WRITE);
	itest_memory_at(test, ITEST_MEM, ITEST_MEM_PAGES,
			PROT_READ | PROT_WRITE);
	itest_memory_at(test, ITEST_RO, 1, PROT_READ);
}

static void itest_release(void *data)
{
	struct itest *it = data;

	if (it->fd >= 0)
		close_fd(it->fd);
	__fput_sync(it->file);
}

/**
 * itest_open() - open /dev/ioasid
 * @test: the test, after itest_memory()
 *
 * Context: can sleep.
 *
 * Return: the context; closed by itest_close(), or when the test ends.
 */
struct itest *itest_open(struct kunit *test)
{
	struct itest *it = kunit_kzalloc(test, sizeof(*it), GFP_KERNEL);
	int rc;

	KUNIT_ASSERT_NOT_NULL(test, it);
	it->test = test;
	it->fd = -1;
	it->file = anon_inode_getfile("[ioasid-test]", &ioasid_fops, NULL,
				      O_RDWR | O_CLOEXEC);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, it->file);
	rc = ioasid_fops.open(file_inode(it->file), it->file);
	/* Its release needs a context */
	KUNIT_ASSERT_EQ(test, rc, 0);
	it->ctx = it->file->private_data;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, itest_release, it),
			0);
	return it;
}

void itest_close(struct itest *it)
{
	kunit_release_action(it->test, itest_release, it);
}

/**
 * itest_fd() - get a file descriptor of the open file
 * @it: the context
 *
 * Context: can sleep.
 *
 * Return: the fd; closed together with @it.
 */
int itest_fd(struct itest *it)
{
	if (it->fd < 0) {
		it->fd = get_unused_fd_flags(O_CLOEXEC);
		KUNIT_ASSERT_GE(it->test, it->fd, 0);
		fd_install(it->fd, get_file(it->file));
	}
	return it->fd;
}

void itest_put_user(struct kunit *test, u64 uptr, const void *from, size_t size)
{
	KUNIT_ASSERT_EQ(test, copy_to_user(u64_to_user_ptr(uptr), from, size),
			0UL);
}

void itest_get_user(struct kunit *test, void *to, u64 uptr, size_t size)
{
	KUNIT_ASSERT_EQ(test, copy_from_user(to, u64_to_user_ptr(uptr), size),
			0UL);
}

int itest_ioctl(struct itest *it, unsigned int cmd, u64 uptr)
{
	return ioasid_fops.unlocked_ioctl(it->file, cmd, uptr);
}

/**
 * itest_cmd() - execute a command with an extack
 * @it: the context; gets the reason if it fails
 * @cmd: the command
 * @arg: its struct, without @size and @extack; out: the struct
 * @size: size of the struct in bytes
 *
 * Context: can sleep.
 *
 * Return: the result of ioctl().
 */
int itest_cmd(struct itest *it, unsigned int cmd, void *arg, size_t size)
{
	u64 extack = ITEST_EXT;
	int rc;

	*(u32 *)arg = size;
	memcpy(arg + 8, &extack, sizeof(extack));
	memset(&it->ext, 0, sizeof(it->ext));
	it->ext.size = sizeof(it->ext);
	itest_put_user(it->test, ITEST_EXT, &it->ext, sizeof(it->ext));
	itest_put_user(it->test, ITEST_ARG, arg, size);
	rc = itest_ioctl(it, cmd, ITEST_ARG);
	itest_get_user(it->test, arg, ITEST_ARG, size);
	itest_get_user(it->test, &it->ext, ITEST_EXT, sizeof(it->ext));
	/* Written if and only if the command fails */
	KUNIT_EXPECT_EQ(it->test, !!rc, !!it->ext.code);
	return rc;
}

u32 itest_alloc_space(struct itest *it)
{
	struct ioasid_alloc arg = { .kind = IOASID_KIND_MAPPED };

	KUNIT_ASSERT_EQ(it->test, ITEST_CMD(it, IOASID_ALLOC, &arg), 0);
	return arg.ioasid;
}

int itest_free_space(struct itest *it, u32 id)
{
	struct ioasid_free arg = { .ioasid = id };

	return ITEST_CMD(it, IOASID_FREE, &arg);
}

/* Maps a vector; out: the IOVAs */
int itest_map(struct itest *it, u32 id, struct ioasid_map_range *r, u32 nr)
{
	struct ioasid_map arg = {
		.ioasid = id, .nr = nr, .ranges = ITEST_VEC,
		.range_size = sizeof(*r),
	};
	int rc;

	itest_put_user(it->test, ITEST_VEC, r, nr * sizeof(*r));
	rc = ITEST_CMD(it, IOASID_MAP, &arg);
	itest_get_user(it->test, r, ITEST_VEC, nr * sizeof(*r));
	return rc;
}

int itest_map_one(struct itest *it, u32 id, u64 iova, u64 addr, u64 length,
		  u32 flags)
{
	struct ioasid_map_range r = {
		.iova = iova, .addr = addr, .length = length,
		.flags = flags | IOASID_MAP_FIXED,
	};

	return itest_map(it, id, &r, 1);
}

int itest_unmap(struct itest *it, u32 id, struct ioasid_unmap_range *r, u32 nr,
		u64 *bytes)
{
	struct ioasid_unmap arg = {
		.flags = r ? 0 : IOASID_UNMAP_ALL, .ioasid = id, .nr = nr,
		.ranges = r ? ITEST_VEC : 0, .range_size = sizeof(*r),
	};
	int rc;

	if (r)
		itest_put_user(it->test, ITEST_VEC, r, nr * sizeof(*r));
	rc = ITEST_CMD(it, IOASID_UNMAP, &arg);
	if (bytes)
		*bytes = arg.unmapped;
	return rc;
}

int itest_unmap_one(struct itest *it, u32 id, u64 iova, u64 length)
{
	struct ioasid_unmap_range r = { .iova = iova, .length = length };

	return itest_unmap(it, id, &r, 1, NULL);
}

struct ioasid_info itest_info(struct itest *it)
{
	struct ioasid_info info = {};

	KUNIT_ASSERT_EQ(it->test, ITEST_CMD(it, IOASID_GET_INFO, &info), 0);
	return info;
}

/* Binds a device as a glue does; returns its id */
u32 itest_bind_device(struct itest *it, struct device *dev)
{
	static const struct ioasid_attach_params params = {
		.owner = "test", .unsafe_interrupts = true, .cookie = 0xc00c1e,
	};
	struct ioasid_extack extack;
	u32 id = 0;

	ioasid_extack_init(&extack);
	KUNIT_ASSERT_EQ_MSG(it->test,
			    sva_bind_device(it->ctx, dev, &params, &id,
					    &extack),
			    0, "%s", extack.msg);
	return id;
}

u32 itest_alloc_kind(struct itest *it, u32 kind, u32 flags)
{
	struct ioasid_alloc arg = { .kind = kind, .flags = flags };

	KUNIT_ASSERT_EQ(it->test, ITEST_CMD(it, IOASID_ALLOC, &arg), 0);
	return arg.ioasid;
}

/* Finds a space that must be there; to be put by ioasid_space_put() */
struct ioasid_space *itest_space_get(struct itest *it, u32 id)
{
	struct ioasid_extack extack;
	struct ioasid_space *space;

	ioasid_extack_init(&extack);
	space = ioasid_space_get(it->ctx, id, &extack);
	KUNIT_ASSERT_FALSE(it->test, IS_ERR(space));
	return space;
}

/* @pasid: as in struct ioasid_device_attach; out: the PASID, on success */
int itest_attach(struct itest *it, u32 dev_id, u32 id, u32 *pasid, u32 vpasid,
		 u32 flags)
{
	struct ioasid_device_attach arg = {
		.flags = flags, .dev_id = dev_id, .ioasid = id, .pasid = *pasid,
		.vpasid = vpasid,
	};
	int rc = ITEST_CMD(it, IOASID_DEVICE_ATTACH, &arg);

	if (!rc)
		*pasid = arg.pasid;
	return rc;
}

int itest_detach(struct itest *it, u32 dev_id, u32 number)
{
	struct ioasid_device_detach arg = {
		.dev_id = dev_id, .pasid = number,
	};

	return ITEST_CMD(it, IOASID_DEVICE_DETACH, &arg);
}

int itest_pasid_alloc(struct itest *it, u32 dev_id, u32 nr, u32 *pasids)
{
	struct ioasid_pasid_alloc arg = {
		.dev_id = dev_id, .nr = nr, .pasids = ITEST_VEC,
	};
	int rc = ITEST_CMD(it, IOASID_PASID_ALLOC, &arg);

	if (!rc)
		itest_get_user(it->test, pasids, ITEST_VEC,
			       nr * sizeof(*pasids));
	return rc;
}

int itest_pasid_free(struct itest *it, u32 nr, const u32 *pasids)
{
	struct ioasid_pasid_free arg = { .nr = nr, .pasids = ITEST_VEC };

	itest_put_user(it->test, ITEST_VEC, pasids, nr * sizeof(*pasids));
	return ITEST_CMD(it, IOASID_PASID_FREE, &arg);
}

/* --- fault queues --- */

static void itest_fput(void *file)
{
	__fput_sync(file);
}

/**
 * itest_queue_open() - make a fault queue
 * @it: the context
 * @tq: out: the queue; closed by itest_queue_close(), or when the test ends
 * @args: its parameters
 *
 * Context: can sleep.
 */
void itest_queue_open(struct itest *it, struct itest_queue *tq,
		      const struct ioasid_fault_queue *args)
{
	struct ioasid_fault_queue arg = *args;

	if (!arg.eventfd)
		arg.eventfd = -1;
	KUNIT_ASSERT_EQ_MSG(it->test, ITEST_CMD(it, IOASID_FAULT_QUEUE, &arg),
			    0, "%s", it->ext.msg);
	tq->file = fget(arg.fd);
	tq->q = tq->file->private_data;
	tq->id = arg.queue_id;
	tq->file->f_flags |= O_NONBLOCK;
	close_fd(arg.fd);
	KUNIT_ASSERT_EQ(it->test, kunit_add_action_or_reset(it->test, itest_fput,
							    tq->file), 0);
}

void itest_queue_close(struct itest *it, struct itest_queue *tq)
{
	kunit_release_action(it->test, itest_fput, tq->file);
	tq->file = NULL;
}

ssize_t itest_queue_read(struct itest_queue *tq, u64 uptr, size_t count)
{
	loff_t pos = 0;

	return tq->file->f_op->read(tq->file, u64_to_user_ptr(uptr), count,
				    &pos);
}

ssize_t itest_queue_write(struct itest_queue *tq, u64 uptr, size_t count)
{
	loff_t pos = 0;

	return tq->file->f_op->write(tq->file, u64_to_user_ptr(uptr), count,
				     &pos);
}

/* Responds by write(); returns 0 or a negative errno */
int itest_queue_answer(struct itest *it, struct itest_queue *tq, u64 cookie,
		       u32 code)
{
	struct ioasid_fault_response r = { .cookie = cookie, .code = code };
	ssize_t n;

	itest_put_user(it->test, ITEST_VEC, &r, sizeof(r));
	n = itest_queue_write(tq, ITEST_VEC, sizeof(r));
	return n == sizeof(r) ? 0 : n;
}

int itest_bind(struct itest *it, u32 id, u32 dev_id, u32 number, u32 queue_id)
{
	struct ioasid_fault_bind arg = {
		.ioasid = id, .dev_id = dev_id, .pasid = number,
		.queue_id = queue_id,
	};

	return ITEST_CMD(it, IOASID_FAULT_BIND, &arg);
}

/**
 * itest_set_killed() - make the test look killed, or not
 * @killed: true to set a pending SIGKILL, false to clear it
 *
 * Context: any.
 */
void itest_set_killed(bool killed)
{
	spin_lock_irq(&current->sighand->siglock);
	if (killed) {
		sigaddset(&current->pending.signal, SIGKILL);
		set_tsk_thread_flag(current, TIF_SIGPENDING);
	} else {
		sigdelset(&current->pending.signal, SIGKILL);
		clear_tsk_thread_flag(current, TIF_SIGPENDING);
	}
	spin_unlock_irq(&current->sighand->siglock);
}

/* Each test is a process of its own, and the only one with this limit */
void itest_set_memlock(u64 bytes)
{
	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur = bytes;
}

/**
 * itest_drop_cap() - continue without a capability
 * @test: the test
 * @cap: CAP_*
 *
 * Context: can sleep.
 *
 * Return: the previous credentials, for itest_restore_cred().
 */
const struct cred *itest_drop_cap(struct kunit *test, int cap)
{
	struct cred *cred = prepare_creds();

	KUNIT_ASSERT_NOT_NULL(test, cred);
	cap_lower(cred->cap_effective, cap);
	return override_creds(cred);
}

/**
 * itest_become_user() - go on as another user, with all capabilities
 * @test: the test
 * @uid: the user
 *
 * Return: what to give to itest_restore_cred().
 */
const struct cred *itest_become_user(struct kunit *test, u32 uid)
{
	struct cred *cred = prepare_creds();

	KUNIT_ASSERT_NOT_NULL(test, cred);
	cred->uid = KUIDT_INIT(uid);
	return override_creds(cred);
}

void itest_restore_cred(const struct cred *old)
{
	put_cred(revert_creds(old));
}

/* --- user memory of a chosen layout --- */

struct itest_layout {
	struct page **page;
	u32 nr;
};

static int itest_layout_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct itest_layout *l = file->private_data;
	u32 i;
	int rc = 0;

	for (i = 0; i < l->nr && !rc; i++)
		rc = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE,
				    l->page[i]);
	return rc;
}

static const struct file_operations itest_layout_fops = {
	.owner = THIS_MODULE,
	.mmap = itest_layout_mmap,
};

struct itest_compound {
	struct page *page;
	u32 order;
};

static void itest_free_compound(void *data)
{
	struct itest_compound *c = data;

	__free_pages(c->page, c->order);
}

/**
 * itest_pages() - allocate pages for user memory
 * @test: the test; frees them when it ends
 * @nr: number of pages
 * @order: order of the compound pages that they are part of
 *
 * Context: can sleep.
 *
 * Return: an array; @nr is rounded up to whole compound pages.
 */
struct page **itest_pages(struct kunit *test, u32 nr, u32 order)
{
	struct page **page;
	struct itest_compound *c;
	u32 i, k;

	nr = round_up(nr, 1U << order);
	page = kunit_kcalloc(test, nr, sizeof(*page), GFP_KERNEL);
	c = kunit_kcalloc(test, nr >> order, sizeof(*c), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_NOT_NULL(test, c);
	for (i = 0; i < nr; i += 1U << order, c++) {
		c->order = order;
		c->page = alloc_pages(GFP_KERNEL | __GFP_ZERO |
				      (order ? __GFP_COMP : 0), order);
		KUNIT_ASSERT_NOT_NULL(test, c->page);
		KUNIT_ASSERT_EQ(test,
				kunit_add_action_or_reset(test,
							  itest_free_compound,
							  c), 0);
		for (k = 0; k < 1U << order; k++)
			page[i + k] = c->page + k;
	}
	return page;
}

/**
 * itest_map_pages() - map user memory that consists of given pages
 * @test: the test
 * @page: the pages, in order; a page may occur twice
 * @nr: number of pages
 * @prot: PROT_*
 *
 * Context: can sleep.
 *
 * Return: its address.
 */
u64 itest_map_pages(struct kunit *test, struct page **page, u32 nr, int prot)
{
	struct itest_layout *l = kunit_kzalloc(test, sizeof(*l), GFP_KERNEL);
	struct file *file;
	u64 addr;

	KUNIT_ASSERT_NOT_NULL(test, l);
	l->page = page;
	l->nr = nr;
	file = anon_inode_getfile("[ioasid-test]", &itest_layout_fops, l,
				  O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, itest_fput, file),
			0);
	addr = kunit_vm_mmap(test, file, 0, nr * PAGE_SIZE, prot, MAP_SHARED,
			     0);
	KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));
	return addr;
}

/**
 * itest_pins() - get the number of pins of the folio of a page
 * @page: the page
 *
 * Context: any.
 *
 * Return: number of pins; of all pages of a large folio together.
 */
u32 itest_pins(struct page *page)
{
	struct folio *folio = page_folio(page);

	if (folio_has_pincount(folio))
		return atomic_read(&folio->_pincount);
	return folio_ref_count(folio) / GUP_PIN_COUNTING_BIAS;
}
