// SPDX-License-Identifier: GPL-2.0
/*
 * The functions that include/linux/ioasid.h declares for other modules. Each
 * calls the engine, as the commands do, and must never contain logic of its
 * own.
 */
#include <linux/module.h>
#include "ioasid_private.h"

/**
 * sva_put() - put the reference of sva_get_from_fd()
 * @ctx: the context
 *
 * Context: can sleep.
 */
void sva_put(struct ioasid_ctx *ctx)
{
	ioasid_ctx_put(ctx);
}
IOASID_EXPORT(sva_put);

/**
 * sva_bind_device() - bind a device to a context
 * @ctx: the context
 * @dev: the device; the caller keeps it, and its driver, until
 *	sva_remove_device()
 * @params: owner, cookie
 * @dev_id: out: its id; or NULL
 * @extack: the reason if it fails
 *
 * The caller must have checked that the user of the context controls the
 * device, and must own the DMA of its group. A device that is already bound
 * keeps its id and gets the new cookie.
 *
 * Context: can sleep.
 *
 * Return: 0, -ENODEV without an IOMMU, -EINVAL if DMA is not coherent, -EPERM
 * without isolated interrupts, -EBUSY if it is bound to another context by its
 * file, -ENOMEM.
 */
int sva_bind_device(struct ioasid_ctx *ctx, struct device *dev,
		    const struct ioasid_attach_params *params, u32 *dev_id,
		    struct ioasid_extack *extack)
{
	return ioasid_device_bind(ctx, dev, params, NULL, dev_id, extack);
}
IOASID_EXPORT(sva_bind_device);

/**
 * sva_unbind_device() - unbind a device that is not attached
 * @ctx: the context
 * @dev: the device; no-op if it is not bound
 * @extack: the reason if it fails
 *
 * Context: can sleep.
 *
 * Return: 0, or -EBUSY if the device is attached.
 */
int sva_unbind_device(struct ioasid_ctx *ctx, struct device *dev,
		      struct ioasid_extack *extack)
{
	return ioasid_device_unbind_idle(ctx, dev, extack);
}
IOASID_EXPORT(sva_unbind_device);

/**
 * sva_remove_device() - detach a device from all spaces and unbind it
 * @ctx: the context
 * @dev: the device; no-op if it is not bound
 *
 * Cannot fail. Must be called before the owner releases the device's group.
 *
 * Context: can sleep.
 */
void sva_remove_device(struct ioasid_ctx *ctx, struct device *dev)
{
	ioasid_device_remove(ctx, dev);
}
IOASID_EXPORT(sva_remove_device);

/**
 * sva_register_device_to_pasid() - attach a device to a space
 * @ctx: the context
 * @pasid: IOASID_RID, a PASID of the context, or IOASID_PASID_ANY
 * @dev: the device; bound if it is not yet, see sva_bind_device()
 * @params: the space, owner, cookie, the user's number for the PASID; out:
 *	@pasid and @dev_id, if it succeeds
 * @extack: the reason if it fails
 *
 * On failure a device that was not bound before is unbound again.
 *
 * Context: can sleep. Only a process itself can attach its address space.
 *
 * Return: 0; an error of sva_bind_device(); -ENOENT if there is no such space;
 * -EBUSY if already attached, if a sibling uses another space with that PASID,
 * or during a reset; -EADDRINUSE or -ERANGE if there is a mapping that the
 * device or its IOMMU cannot have; -EOPNOTSUPP if device or IOMMU do not support
 * PASIDs; -ERANGE if the PASID is too large for the device; -EPERM if the PASID
 * does not belong to the context, the memory belongs to another process, or
 * nobody owns the DMA of the group whose RID is to be attached; -EDQUOT or
 * -ENOSPC if no PASID is left; -EINVAL if PASID and kind of space do not match;
 * -EINTR if killed; -ENOMEM; or an error of the IOMMU driver.
 */
int sva_register_device_to_pasid(struct ioasid_ctx *ctx, u32 pasid,
				 struct device *dev,
				 const struct ioasid_attach_params *params,
				 struct ioasid_extack *extack)
{
	return ioasid_device_register(ctx, pasid, dev, params, false, NULL,
				      extack);
}
IOASID_EXPORT(sva_register_device_to_pasid);

/**
 * sva_replace_device_pasid() - move a device to another space
 * @ctx: the context
 * @pasid: IOASID_RID or a PASID that it is attached with; IOASID_PASID_ANY if
 *	@params names it by the user's number
 * @dev: the device
 * @params: the new space; the other members as in
 *	sva_register_device_to_pasid()
 * @extack: the reason if it fails
 *
 * A device that is not attached yet is attached. DMA in flight may be blocked
 * for a moment, since not every IOMMU driver can replace without a gap.
 *
 * Context: can sleep.
 *
 * Return: 0, or as sva_register_device_to_pasid(); on failure the device
 * stays where it is.
 */
int sva_replace_device_pasid(struct ioasid_ctx *ctx, u32 pasid,
			     struct device *dev,
			     const struct ioasid_attach_params *params,
			     struct ioasid_extack *extack)
{
	return ioasid_device_register(ctx, pasid, dev, params, true, NULL,
				      extack);
}
IOASID_EXPORT(sva_replace_device_pasid);

/**
 * sva_unregister_device_from_pasid() - detach a device
 * @ctx: the context
 * @pasid: IOASID_RID, or the user's number for the PASID
 * @dev: the device; stays bound
 * @extack: the reason if it fails
 *
 * Context: can sleep.
 *
 * Return: 0, or -ENOENT if it is not attached.
 */
int sva_unregister_device_from_pasid(struct ioasid_ctx *ctx, u32 pasid,
				     struct device *dev,
				     struct ioasid_extack *extack)
{
	return ioasid_device_unregister(ctx, pasid, dev, extack);
}
IOASID_EXPORT(sva_unregister_device_from_pasid);

/**
 * ioasid_space_alloc() - allocate a space, as IOASID_ALLOC does
 * @ctx: the context
 * @params: its parameters; @data, if any, is an address of the current process
 * @ioasid: out: its id
 * @extack: the reason if it fails
 *
 * It is freed by ioasid_space_free(), or when /dev/ioasid is closed and no
 * device is attached to it. The user can use it by its id, too, and free it.
 *
 * Context: can sleep. For IOASID_KIND_MM the caller is the process.
 *
 * Return: 0, -EOPNOTSUPP if the kernel does not support the kind, a flag or the
 * data, -EINVAL if the kind does not support a flag or the label is not
 * printable ASCII, -EDQUOT above a limit, -ENOMEM.
 */
int ioasid_space_alloc(struct ioasid_ctx *ctx,
		       const struct ioasid_space_params *params, u32 *ioasid,
		       struct ioasid_extack *extack)
{
	struct ioasid_space *space = ioasid_space_create(ctx, params, extack);

	if (IS_ERR(space))
		return PTR_ERR(space);
	*ioasid = space->id;
	ioasid_space_publish(space);
	return 0;
}
IOASID_EXPORT(ioasid_space_alloc);

/**
 * ioasid_space_free() - free a space and unpin its mappings
 * @ctx: the context
 * @ioasid: the space
 * @extack: the reason if it fails
 *
 * Context: can sleep; any process. Takes mmap_lock of the process that was
 * charged, so the caller must not hold one.
 *
 * Not interrupted by signals, as a glue that cleans up has no other chance.
 *
 * Return: 0, -ENOENT if there is no such space, -EBUSY if a device is attached.
 */
int ioasid_space_free(struct ioasid_ctx *ctx, u32 ioasid,
		      struct ioasid_extack *extack)
{
	struct ioasid_space *space = ioasid_space_get(ctx, ioasid, extack);
	int rc;

	if (IS_ERR(space))
		return PTR_ERR(space);
	rc = ioasid_space_release_id(space, extack);
	if (!rc)
		ioasid_space_put(space);
	ioasid_space_put(space);
	return rc;
}
IOASID_EXPORT(ioasid_space_free);

/**
 * ioasid_space_map() - map memory of the current process, all of it or none
 * @ctx: the context
 * @ioasid: a mapped space
 * @ranges: the ranges; out: @iova of those without IOASID_MAP_FIXED
 * @nr: number of ranges, 1 to IOASID_MAX_VECTOR
 * @extack: the reason if it fails
 *
 * The current process is charged, as by IOASID_MAP.
 *
 * Context: a user process; can sleep. Takes mmap_lock.
 *
 * Return: 0, or an error of IOASID_MAP; -EINVAL without a process: in a kernel
 * thread, or when a file is released at exit.
 */
int ioasid_space_map(struct ioasid_ctx *ctx, u32 ioasid,
		     struct ioasid_map_range *ranges, u32 nr,
		     struct ioasid_extack *extack)
{
	int rc = ioasid_check_vector(nr, extack);

	extack->ioasid = ioasid;
	if (rc)
		return rc;
	if (!current->mm)
		return ioasid_fail(extack, -EINVAL, IOASID_REASON_VALUE,
				   "there is no process whose memory could be mapped");
	return ioasid_map_ranges(ctx, ioasid, ranges, nr, extack);
}
IOASID_EXPORT(ioasid_space_map);

/**
 * ioasid_space_unmap() - unmap ranges, all of them or none
 * @ctx: the context
 * @ioasid: a mapped space
 * @ranges: the ranges; none may split a mapping
 * @nr: number of ranges, 1 to IOASID_MAX_VECTOR
 * @flags: 0 or IOASID_UNMAP_EMPTY_OK
 * @unmapped: out: number of bytes
 * @extack: the reason if it fails
 *
 * Context: can sleep; any process. Takes mmap_lock of the process that was
 * charged, so the caller must not hold one.
 *
 * Return: 0, or an error of IOASID_UNMAP.
 */
int ioasid_space_unmap(struct ioasid_ctx *ctx, u32 ioasid,
		       const struct ioasid_unmap_range *ranges, u32 nr,
		       u32 flags, u64 *unmapped, struct ioasid_extack *extack)
{
	int rc = ioasid_check_vector(nr, extack);

	extack->ioasid = ioasid;
	if (rc)
		return rc;
	if (flags & ~IOASID_UNMAP_EMPTY_OK) {
		extack->value = flags & ~IOASID_UNMAP_EMPTY_OK;
		return ioasid_fail(extack, -EOPNOTSUPP, IOASID_REASON_FLAGS,
				   "unknown flags %#llx", extack->value);
	}
	return ioasid_unmap_ranges(ctx, ioasid, ranges, nr, flags, unmapped,
				   extack);
}
IOASID_EXPORT(ioasid_space_unmap);

/**
 * ioasid_space_unmap_all() - unmap all mappings of a space
 * @ctx: the context
 * @ioasid: a mapped space
 * @unmapped: out: number of bytes
 * @extack: the reason if it fails
 *
 * Context: can sleep; any process. Takes mmap_lock of the process that was
 * charged, so the caller must not hold one.
 *
 * Return: 0, -ENOENT if there is no such space, -EINVAL if it is of another
 * kind, -EINTR if killed, and then some of it may still be mapped.
 */
int ioasid_space_unmap_all(struct ioasid_ctx *ctx, u32 ioasid, u64 *unmapped,
			   struct ioasid_extack *extack)
{
	return ioasid_unmap_all(ctx, ioasid, unmapped, extack);
}
IOASID_EXPORT(ioasid_space_unmap_all);

/**
 * ioasid_space_ranges() - get the usable ranges of a space
 * @ctx: the context
 * @ioasid: the space
 * @nr: out: number of ranges
 * @extack: the reason if it fails
 *
 * They can shrink when a device is attached, and grow when one is detached.
 *
 * Context: can sleep.
 *
 * Return: the ranges, ascending, to be freed by kvfree(); NULL if there are
 * none; ERR_PTR of -ENOENT if there is no such space, -EINTR if killed,
 * -ENOMEM.
 */
struct ioasid_iova_range *ioasid_space_ranges(struct ioasid_ctx *ctx,
					      u32 ioasid, u32 *nr,
					      struct ioasid_extack *extack)
{
	struct ioasid_iova_range *ranges;
	struct ioasid_space *space;

	space = ioasid_space_get_read(ctx, ioasid, extack);
	if (IS_ERR(space))
		return ERR_CAST(space);
	ranges = ioasid_space_usable(space, nr, extack);
	ioasid_space_put_read(space);
	return ranges;
}
IOASID_EXPORT(ioasid_space_ranges);
