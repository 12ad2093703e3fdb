// SPDX-License-Identifier: GPL-2.0
/*
 * Does on purpose what the checks of the debug kernel are there to find, each
 * kind once, so that a test can see that they do. It must never be loaded into
 * a machine that anybody wants to keep.
 */
#include <linux/iommu.h>
#include <linux/kmemleak.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *what = "";
module_param(what, charp, 0444);
MODULE_PARM_DESC(what, "kasan, leak, pagealloc, atomic, lockdep or race");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);

/* Reads one byte behind the end of an object. */
static int bad_kasan(void)
{
	char *p = kzalloc(24, GFP_KERNEL);
	size_t end = 24;
	char c;

	if (!p)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(end);
	c = READ_ONCE(p[end]);
	kfree(p);
	return c == 1 ? -EIO : 0;
}

/*
 * Forgets many objects: the allocator's own lists keep the addresses of the last
 * ones that it gave away, and kmemleak finds them there.
 */
static int bad_leak(void)
{
	int i;

	for (i = 0; i < 512; i++)
		if (!kzalloc(200, GFP_KERNEL))
			return -ENOMEM;
	return 0;
}

/* Frees a page that an IOMMU still maps, and takes it back. */
static int bad_pagealloc(void)
{
	struct pci_dev *pdev = pci_get_domain_bus_and_slot(0, 0, PCI_DEVFN(3, 0));
	struct iommu_domain *domain;
	struct page *page;
	int ret = -ENOMEM;

	if (!pdev)
		return -ENODEV;
	domain = iommu_paging_domain_alloc(&pdev->dev);
	if (IS_ERR(domain)) {
		ret = PTR_ERR(domain);
		goto put;
	}
	page = alloc_pages(GFP_KERNEL, 4);
	if (!page)
		goto free;
	ret = iommu_map(domain, 0x100000, page_to_phys(page), PAGE_SIZE << 4, IOMMU_READ, GFP_KERNEL);
	__free_pages(page, 4);
	if (!ret)
		iommu_unmap(domain, 0x100000, PAGE_SIZE << 4);
free:
	iommu_domain_free(domain);
put:
	pci_dev_put(pdev);
	return ret;
}

/* May sleep where it must not. */
static int bad_atomic(void)
{
	spin_lock(&spin);
	might_sleep();
	spin_unlock(&spin);
	return 0;
}

/* Two locks, one after the other, in both orders. */
static int bad_lockdep(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
	return 0;
}

static unsigned long raced;

static int bad_racer(void *unused)
{
	while (!kthread_should_stop()) {
		raced++;
		cond_resched();
	}
	return 0;
}

/* Counts in two threads at once, for long enough that somebody watches. */
static int bad_race(void)
{
	unsigned long end = jiffies + 10 * HZ;
	struct task_struct *other = kthread_run(bad_racer, NULL, "bad_racer");

	if (IS_ERR(other))
		return PTR_ERR(other);
	while (time_before(jiffies, end)) {
		raced++;
		cond_resched();
	}
	return kthread_stop(other);
}

static const struct {
	const char *name;
	int (*fn)(void);
} bad[] = {
	{ "kasan", bad_kasan },
	{ "leak", bad_leak },
	{ "pagealloc", bad_pagealloc },
	{ "atomic", bad_atomic },
	{ "lockdep", bad_lockdep },
	{ "race", bad_race },
};

static int __init ioasid_bad_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (!strcmp(what, bad[i].name))
			return bad[i].fn();
	return -EINVAL;
}

static void __exit ioasid_bad_exit(void)
{
}

module_init(ioasid_bad_init);
module_exit(ioasid_bad_exit);
MODULE_DESCRIPTION("What the checks of the debug kernel must find");
MODULE_LICENSE("GPL");
