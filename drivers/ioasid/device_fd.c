// SPDX-License-Identifier: GPL-2.0
/*
 * Files that name a device: the resolver of a glue finds the device of a file,
 * and the context keeps the file open while the device is bound by it. The core
 * must never depend on the kind of file. A reference may be put with locks
 * held, even ioasid_ctx.lock, since fput() never closes a file synchronously.
 */
#include <linux/file.h>
#include <linux/module.h>
#include "ioasid_private.h"

static DEFINE_MUTEX(ioasid_resolvers_lock);
static LIST_HEAD(ioasid_resolvers);

/**
 * ioasid_register_resolver() - let files of a framework name its devices
 * @resolver: must stay valid until ioasid_unregister_resolver()
 *
 * Context: can sleep.
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
 * @resolver: no device is bound by it any more, as its module has no references
 *
 * Context: can sleep.
 */
void ioasid_unregister_resolver(struct ioasid_resolver *resolver)
{
	mutex_lock(&ioasid_resolvers_lock);
	list_del(&resolver->link);
	mutex_unlock(&ioasid_resolvers_lock);
}
IOASID_EXPORT(ioasid_unregister_resolver);

/**
 * ioasid_resolver_exists() - check whether devices can be named by files
 *
 * Context: can sleep.
 *
 * Return: true if a glue with a resolver is loaded.
 */
bool ioasid_resolver_exists(void)
{
	guard(mutex)(&ioasid_resolvers_lock);
	return !list_empty(&ioasid_resolvers);
}

/* Tries each resolver; -ENOTTY if the file is of none of their frameworks */
static int ioasid_resolve(struct ioasid_file_ref *file_ref,
			  struct ioasid_extack *extack)
{
	struct ioasid_resolver *resolver;
	int rc;

	guard(mutex)(&ioasid_resolvers_lock);
	list_for_each_entry(resolver, &ioasid_resolvers, link) {
		if (!try_module_get(resolver->module))
			continue;
		rc = resolver->resolve(file_ref->file, &file_ref->info, extack);
		if (!rc) {
			file_ref->resolver = resolver;
			return 0;
		}
		module_put(resolver->module);
		if (rc != -ENOTTY)
			return rc;
	}
	return -ENOTTY;
}

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
				 "device_fd %d is not a device of a framework whose glue is loaded",
				 fd);
	return rc;
}

/**
 * ioasid_file_ref_copy() - take another reference on a file and its resolver
 * @to: overwritten
 * @from: the reference to copy
 *
 * Context: any. The caller keeps @from meanwhile.
 */
void ioasid_file_ref_copy(struct ioasid_file_ref *to,
			  const struct ioasid_file_ref *from)
{
	*to = *from;
	get_file(to->file);
	__module_get(to->resolver->module);
}

/**
 * ioasid_file_ref_put() - put the reference on a file and its resolver
 * @file_ref: the reference; no-op if it has no file
 *
 * Context: ioasid_ctx.lock may be held: even if this is the last reference,
 * fput() defers closing the file.
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

/**
 * ioasid_file_ref_begin() - get the device of a user's fd, and lock it
 * @file_ref: out: the file, its resolver and the device
 * @fd: the fd
 * @extack: the reason if it fails
 *
 * Until ioasid_file_ref_end() the file stays open, whoever closes the fd.
 *
 * Context: a user process; can sleep. Takes ioasid_resolvers_lock, and
 * ioasid_file_info.lock until ioasid_file_ref_end().
 *
 * Return: 0, -EBADF if the fd is not open, -EINVAL if it is not a device of a
 * framework whose glue is loaded, -EINTR if killed, or the error of the
 * resolver.
 */
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

/**
 * ioasid_file_ref_end() - undo ioasid_file_ref_begin()
 * @file_ref: the reference
 *
 * Context: ioasid_file_info.lock, if there is one, is held, and released.
 */
void ioasid_file_ref_end(struct ioasid_file_ref *file_ref)
{
	if (file_ref->info.lock)
		mutex_unlock(file_ref->info.lock);
	ioasid_file_ref_put(file_ref);
}
