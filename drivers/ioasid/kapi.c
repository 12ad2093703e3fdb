// SPDX-License-Identifier: GPL-2.0
/*
 * What include/linux/ioasid.h declares for other modules: the same engine calls as
 * those of the commands, under the names that glues use. Nothing here may do
 * anything by itself.
 */
#include <linux/module.h>
#include "ioasid_private.h"

/**
 * sva_put() - give back what sva_get_from_fd() returned
 * @ctx: the context
 */
void sva_put(struct ioasid_ctx *ctx)
{
	ioasid_ctx_put(ctx);
}
IOASID_EXPORT(sva_put);

/**
 * sva_bind_device() - make a device known to a context
 * @ctx: the context
 * @dev: the device; the caller keeps it, and its driver, until
 *	sva_remove_device()
 * @params: owner, cookie
 * @dev_id: where to put its id, or NULL
 * @extack: the reason if it fails
 *
 * The caller has proved that whoever holds the context controls the device,
 * and that it owns the DMA of the device's group. A device that is known
 * already keeps its id and gets the new cookie.
 *
 * Return: 0, -ENODEV without an IOMMU, -EINVAL if DMA is not coherent, -EPERM
 * without isolated interrupts, -EBUSY if another context knows it by its file,
 * -ENOMEM.
 */
int sva_bind_device(struct ioasid_ctx *ctx, struct device *dev,
		    const struct ioasid_attach_params *params, u32 *dev_id,
		    struct ioasid_extack *extack)
{
	return ioasid_device_bind(ctx, dev, params, NULL, dev_id, extack);
}
IOASID_EXPORT(sva_bind_device);

/**
 * sva_unbind_device() - forget a device that is not attached
 * @ctx: the context
 * @dev: the device; nothing happens if it is not known
 * @extack: the reason if it fails
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
 * sva_remove_device() - detach a device from everything and forget it
 * @ctx: the context
 * @dev: the device; nothing happens if it is not known
 *
 * Cannot fail. To be called before the device's group loses its owner.
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
 * @dev: the device; made known if it is not yet, see sva_bind_device()
 * @params: the space, owner, cookie, the user's number for the PASID
 * @extack: the reason if it fails
 *
 * Return: the attachment, only to be compared, or ERR_PTR of: what
 * sva_bind_device() returns; -ENOENT without such a space; -EBUSY if attached,
 * if a sibling uses another space with that PASID, or during a reset;
 * -EADDRINUSE or -ERANGE if a mapping is where the device cannot have one;
 * -EOPNOTSUPP for a PASID that device or IOMMU cannot have; -ERANGE for one
 * that is too wide; -EPERM for a PASID, or the memory of a process, of
 * somebody else; -EDQUOT or -ENOSPC without a PASID; -EINVAL where PASID and
 * kind of space do not go together; what the IOMMU driver returns. On failure a
 * device that was made known is forgotten again.
 */
struct ioasid_attachment *sva_register_device_to_pasid(
	struct ioasid_ctx *ctx, u32 pasid, struct device *dev,
	const struct ioasid_attach_params *params, struct ioasid_extack *extack)
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
 * @params: the new space
 * @extack: the reason if it fails
 *
 * A device that is not attached yet is attached. DMA in flight may be refused
 * for a moment: not every IOMMU driver replaces without a gap.
 *
 * Return: 0, or as sva_register_device_to_pasid(); on failure the device
 * stays where it is.
 */
int sva_replace_device_pasid(struct ioasid_ctx *ctx, u32 pasid,
			     struct device *dev,
			     const struct ioasid_attach_params *params,
			     struct ioasid_extack *extack)
{
	return PTR_ERR_OR_ZERO(ioasid_device_register(ctx, pasid, dev, params,
						      true, NULL, extack));
}
IOASID_EXPORT(sva_replace_device_pasid);

/**
 * sva_unregister_device_from_pasid() - detach a device
 * @ctx: the context
 * @pasid: IOASID_RID, or the number by which the user knows the PASID
 * @dev: the device; stays known
 * @extack: the reason if it fails
 *
 * Return: 0, or -ENOENT if it is not attached. Nothing else can fail.
 */
int sva_unregister_device_from_pasid(struct ioasid_ctx *ctx, u32 pasid,
				     struct device *dev,
				     struct ioasid_extack *extack)
{
	return ioasid_device_unregister(ctx, pasid, dev, extack);
}
IOASID_EXPORT(sva_unregister_device_from_pasid);

/**
 * ioasid_space_alloc() - make a space, as IOASID_ALLOC does
 * @ctx: the context
 * @params: what it is to be; @data, if any, is an address of the current process
 * @ioasid: out: its id
 * @extack: the reason if it fails
 *
 * It goes with the context, if not by ioasid_space_free() before.
 *
 * Context: can sleep. Takes none of the caller's locks.
 *
 * Return: 0, -EOPNOTSUPP for a kind, a flag or data that this kernel does not have,
 * -EINVAL for a flag that the kind does not have, -ENOMEM.
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
 * ioasid_space_free() - free a space, and unpin all that is mapped in it
 * @ctx: the context
 * @ioasid: the space
 * @extack: the reason if it fails
 *
 * Context: can sleep.
 *
 * Return: 0, -ENOENT without such a space, -EBUSY while a device is attached.
 */
int ioasid_space_free(struct ioasid_ctx *ctx, u32 ioasid,
		      struct ioasid_extack *extack)
{
	return ioasid_space_delete(ctx, ioasid, extack);
}
IOASID_EXPORT(ioasid_space_free);

/**
 * ioasid_space_map() - map memory of the current process, all of it or none
 * @ctx: the context
 * @ioasid: a mapped space
 * @ranges: what to map; out: @iova of what is not IOASID_MAP_FIXED
 * @nr: how many, 1 to IOASID_MAX_VECTOR
 * @extack: the reason if it fails
 *
 * The current process is charged, as if it had called IOASID_MAP.
 *
 * Context: a user process. Can sleep, and takes mmap_lock.
 *
 * Return: 0, or an error of IOASID_MAP.
 */
int ioasid_space_map(struct ioasid_ctx *ctx, u32 ioasid,
		     struct ioasid_map_range *ranges, u32 nr,
		     struct ioasid_extack *extack)
{
	return ioasid_check_vector(nr, extack) ?:
		       ioasid_map_ranges(ctx, ioasid, ranges, nr, extack);
}
IOASID_EXPORT(ioasid_space_map);

/**
 * ioasid_space_unmap() - unmap ranges, all of them or none
 * @ctx: the context
 * @ioasid: a mapped space
 * @ranges: the ranges; none may split a mapping
 * @nr: how many, 1 to IOASID_MAX_VECTOR
 * @flags: 0 or IOASID_UNMAP_EMPTY_OK
 * @unmapped: out: bytes
 * @extack: the reason if it fails
 *
 * Context: can sleep. Need not be the process that has mapped.
 *
 * Return: 0, or an error of IOASID_UNMAP.
 */
int ioasid_space_unmap(struct ioasid_ctx *ctx, u32 ioasid,
		       const struct ioasid_unmap_range *ranges, u32 nr,
		       u32 flags, u64 *unmapped, struct ioasid_extack *extack)
{
	return ioasid_check_vector(nr, extack) ?:
		       ioasid_unmap_ranges(ctx, ioasid, ranges, nr, flags, unmapped,
				   extack);
}
IOASID_EXPORT(ioasid_space_unmap);

/**
 * ioasid_space_unmap_all() - unmap all that is mapped in a space
 * @ctx: the context
 * @ioasid: a mapped space
 * @unmapped: out: bytes
 * @extack: the reason if it fails
 *
 * Context: can sleep. Need not be the process that has mapped.
 *
 * Return: 0, -ENOENT without such a space, -EINVAL for one of another kind,
 * -EINTR if killed.
 */
int ioasid_space_unmap_all(struct ioasid_ctx *ctx, u32 ioasid, u64 *unmapped,
			   struct ioasid_extack *extack)
{
	return ioasid_unmap_all(ctx, ioasid, unmapped, extack);
}
IOASID_EXPORT(ioasid_space_unmap_all);

/**
 * ioasid_space_ranges() - where something can be mapped in a space
 * @ctx: the context
 * @ioasid: the space
 * @nr: out: number of ranges
 * @extack: the reason if it fails
 *
 * They become fewer when a device is attached, and more when one is detached.
 *
 * Context: can sleep.
 *
 * Return: the ranges, ascending, to be freed by kvfree(); NULL if there is none;
 * ERR_PTR of -ENOENT, -EINTR, -ENOMEM.
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
