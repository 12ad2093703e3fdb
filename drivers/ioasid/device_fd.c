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
static int ioasid_resolve(struct ioasid_file_ref *file_ref,
			  struct ioasid_extack *extack)
{
	struct ioasid_resolver *resolver;
	int rc = -ENOTTY;

	mutex_lock(&ioasid_resolvers_lock);
	list_for_each_entry(resolver, &ioasid_resolvers, link) {
		if (!try_module_get(resolver->module))
			continue;
		rc = resolver->resolve(file_ref->file, &file_ref->info, extack);
		if (!rc) {
			file_ref->resolver = resolver;
			break;
		}
		module_put(resolver->module);
		if (rc != -ENOTTY)
			break;
	}
	mutex_unlock(&ioasid_resolvers_lock);
	return rc;
}

/* The device behind a user's fd: to be given back by ioasid_file_ref_put() */
static int ioasid_file_ref_get(struct ioasid_file_ref *file_ref, int fd,
			       struct ioasid_extack *extack)
{
	int rc;

	file_ref->file = fget(fd);
	if (!file_ref->file)
		return ioasid_fail(extack, -EBADF, IOASID_REASON_FD,
				   "device_fd %d is not open", fd);
	rc = ioasid_resolve(file_ref, extack);
	if (!rc)
		return 0;
	fput(file_ref->file);
	file_ref->file = NULL;
	if (rc == -ENOTTY)
		rc = ioasid_fail(extack, -EINVAL, IOASID_REASON_FD,
				 "device_fd %d is no device of a framework whose glue is loaded",
				 fd);
	return rc;
}

/**
 * ioasid_file_ref_copy() - another reference on a file and its resolver
 * @to: where to put it; what it was is forgotten
 * @from: a hold on a file
 */
void ioasid_file_ref_copy(struct ioasid_file_ref *to,
			  const struct ioasid_file_ref *from)
{
	*to = *from;
	get_file(to->file);
	__module_get(to->resolver->module);
}

/**
 * ioasid_file_ref_put() - let go of a file
 * @file_ref: the hold; nothing happens if there is no file
 *
 * It may be the last reference on the file: no lock is held.
 */
void ioasid_file_ref_put(struct ioasid_file_ref *file_ref)
{
	if (!file_ref->file)
		return;
	fput(file_ref->file);
	module_put(file_ref->resolver->module);
	file_ref->file = NULL;
}

static int ioasid_file_ref_lock(struct ioasid_file_ref *file_ref,
				struct ioasid_extack *extack)
{
	if (!file_ref->info.lock || !mutex_lock_killable(file_ref->info.lock))
		return 0;
	return ioasid_fail(extack, -EINTR, IOASID_REASON_KILLED,
			   "killed while waiting for the device");
}

/* The device behind a user's fd, which does not close until ioasid_file_ref_end() */
int ioasid_file_ref_begin(struct ioasid_file_ref *file_ref, int fd,
			  struct ioasid_extack *extack)
{
	int rc = ioasid_file_ref_get(file_ref, fd, extack);

	if (rc)
		return rc;
	rc = ioasid_file_ref_lock(file_ref, extack);
	if (rc)
		ioasid_file_ref_put(file_ref);
	return rc;
}

void ioasid_file_ref_end(struct ioasid_file_ref *file_ref)
{
	if (file_ref->info.lock)
		mutex_unlock(file_ref->info.lock);
	ioasid_file_ref_put(file_ref);
}
