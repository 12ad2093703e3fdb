// SPDX-License-Identifier: GPL-2.0
/*
 * Files that name a device: a resolver of a glue finds the device behind one, and
 * the context keeps the file open as long as it knows the device by it. It must
 * never know what kind of file that is, and never let go of one with a lock held:
 * that can close the device.
 */
#include <linux/file.h>
#include <linux/module.h>
#include "ioasid_private.h"

static DEFINE_MUTEX(ioasid_resolvers_lock);
static LIST_HEAD(ioasid_resolvers);

/**
 * ioasid_register_resolver() - let users name devices by files of a framework
 * @resolver: stays until ioasid_unregister_resolver()
 */
void ioasid_register_resolver(struct ioasid_resolver *resolver)
{
	mutex_lock(&ioasid_resolvers_lock);
	list_add_tail(&resolver->link, &ioasid_resolvers);
	mutex_unlock(&ioasid_resolvers_lock);
}
IOASID_EXPORT(ioasid_register_resolver);

/**
 * ioasid_unregister_resolver() - undo ioasid_register_resolver()
 * @resolver: no device is known by it any more, as its module has no references
 */
void ioasid_unregister_resolver(struct ioasid_resolver *resolver)
{
	mutex_lock(&ioasid_resolvers_lock);
	list_del(&resolver->link);
	mutex_unlock(&ioasid_resolvers_lock);
}
IOASID_EXPORT(ioasid_unregister_resolver);

/**
 * ioasid_resolver_exists() - can devices be named by files?
 *
 * Return: true if a glue that can tell has been loaded.
 */
bool ioasid_resolver_exists(void)
{
	bool exists;

	mutex_lock(&ioasid_resolvers_lock);
	exists = !list_empty(&ioasid_resolvers);
	mutex_unlock(&ioasid_resolvers_lock);
	return exists;
}

/* Asks one after the other, and keeps the module of the one that knows */
static int ioasid_resolve(struct ioasid_hold *hold, struct ioasid_explain *why)
{
	struct ioasid_resolver *resolver;
	int rc = -ENOTTY;

	mutex_lock(&ioasid_resolvers_lock);
	list_for_each_entry(resolver, &ioasid_resolvers, link) {
		if (!try_module_get(resolver->module))
			continue;
		rc = resolver->resolve(hold->file, &hold->claim, why);
		if (!rc) {
			hold->resolver = resolver;
			break;
		}
		module_put(resolver->module);
		if (rc != -ENOTTY)
			break;
	}
	mutex_unlock(&ioasid_resolvers_lock);
	return rc;
}

/* The device behind a user's fd: to be given back by ioasid_hold_put() */
static int ioasid_hold_get(struct ioasid_hold *hold, int fd,
			   struct ioasid_explain *why)
{
	int rc;

	hold->file = fget(fd);
	if (!hold->file)
		return ioasid_fail(why, -EBADF, IOASID_REASON_FD,
				   "device_fd %d is not open", fd);
	rc = ioasid_resolve(hold, why);
	if (!rc)
		return 0;
	fput(hold->file);
	hold->file = NULL;
	if (rc == -ENOTTY)
		rc = ioasid_fail(why, -EINVAL, IOASID_REASON_FD,
				 "device_fd %d is no device of a framework whose glue is loaded",
				 fd);
	return rc;
}

/**
 * ioasid_hold_copy() - another reference on a file and its resolver
 * @to: where to put it; what it was is forgotten
 * @from: a hold on a file
 */
void ioasid_hold_copy(struct ioasid_hold *to, const struct ioasid_hold *from)
{
	*to = *from;
	get_file(to->file);
	__module_get(to->resolver->module);
}

/**
 * ioasid_hold_put() - let go of a file
 * @hold: the hold; nothing happens if there is no file
 *
 * It may be the last reference on the file: no lock is held.
 */
void ioasid_hold_put(struct ioasid_hold *hold)
{
	if (!hold->file)
		return;
	fput(hold->file);
	module_put(hold->resolver->module);
	hold->file = NULL;
}

static int ioasid_hold_lock(struct ioasid_hold *hold,
			    struct ioasid_explain *why)
{
	if (!hold->claim.lock || !mutex_lock_killable(hold->claim.lock))
		return 0;
	return ioasid_fail(why, -EINTR, IOASID_REASON_KILLED,
			   "killed while waiting for the device");
}

/* The device behind a user's fd, which does not close until ioasid_hold_end() */
int ioasid_hold_begin(struct ioasid_hold *hold, int fd,
			     struct ioasid_explain *why)
{
	int rc = ioasid_hold_get(hold, fd, why);

	if (rc)
		return rc;
	rc = ioasid_hold_lock(hold, why);
	if (rc)
		ioasid_hold_put(hold);
	return rc;
}

void ioasid_hold_end(struct ioasid_hold *hold)
{
	if (hold->claim.lock)
		mutex_unlock(hold->claim.lock);
	ioasid_hold_put(hold);
}
