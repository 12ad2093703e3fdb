// SPDX-License-Identifier: GPL-2.0
/*
 * The char device and the table of its commands: the only place that checks the
 * size, the flags and the tail of a struct. It must never depend on what a
 * command does.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include "cmd/cmd.h"
#include "compat/drain.h"
#include "queue.h"
#include "trace.h"

struct ioasid_header {
	__u32 size;
	__u32 flags;
	__aligned_u64 extack;
};

union ioasid_args {
	struct ioasid_header header;
	struct ioasid_info info;
	struct ioasid_device_info device_info;
	struct ioasid_alloc alloc;
	struct ioasid_free free;
	struct ioasid_space_info space_info;
	struct ioasid_map map;
	struct ioasid_unmap unmap;
	struct ioasid_copy copy;
	struct ioasid_reserve reserve;
	struct ioasid_translate translate;
	struct ioasid_option option;
	struct ioasid_device_attach attach;
	struct ioasid_device_detach detach;
	struct ioasid_pasid_alloc pasid_alloc;
	struct ioasid_pasid_free pasid_free;
	struct ioasid_fault_queue fault_queue;
	struct ioasid_fault_bind fault_bind;
	struct ioasid_invalidate invalidate;
};

/**
 * struct ioasid_op - a command
 * @fn: executes it
 * @name: name in messages and traces
 * @size: size of its struct in bytes
 * @min_size: end of the last field of the first published version
 * @space: offset of the field that names a space, 0 if there is none
 * @flags: supported flags
 * @out: it writes its struct back
 */
struct ioasid_op {
	int (*fn)(struct ioasid_command *cmd);
	const char *name;
	u16 size;
	u16 min_size;
	u16 space;
	u32 flags;
	bool out;
};

#define NAMED_OP(_name, _cmd, _fn, _struct, _last, _flags, _out, ...)	\
	[_IOC_NR(_cmd)] = {						\
		.fn = _fn,						\
		.name = _name,						\
		.size = sizeof(_struct),				\
		.min_size = offsetofend(_struct, _last),		\
		.flags = _flags,					\
		.out = _out,						\
		__VA_ARGS__						\
	}

/* Each takes the name itself: passed on to the other, it would be a number */
#define OP(_cmd, _fn, _struct, _last, _flags, _out)			\
	NAMED_OP(#_cmd, _cmd, _fn, _struct, _last, _flags, _out)

/* For a command of which @_space says which space it is about */
#define SPACE_OP(_cmd, _fn, _struct, _space, _last, _flags, _out)	\
	NAMED_OP(#_cmd, _cmd, _fn, _struct, _last, _flags, _out,	\
		 .space = offsetof(_struct, _space))

static const struct ioasid_op ioasid_ops[] = {
	OP(IOASID_GET_INFO, ioasid_cmd_get_info, struct ioasid_info, max_reserve, 0,
	   true),
	OP(IOASID_DEVICE_INFO, ioasid_cmd_device_info,
	   struct ioasid_device_info, nest_formats, 0, true),
	OP(IOASID_ALLOC, ioasid_cmd_alloc, struct ioasid_alloc, label,
	   IOASID_ALLOC_FAULTS | IOASID_ALLOC_NEST_PARENT, true),
	SPACE_OP(IOASID_FREE, ioasid_cmd_free, struct ioasid_free, ioasid,
		 __reserved, 0, false),
	SPACE_OP(IOASID_SPACE_INFO, ioasid_cmd_space_info,
		 struct ioasid_space_info, ioasid, label, 0, true),
	SPACE_OP(IOASID_MAP, ioasid_cmd_map, struct ioasid_map, ioasid,
		 __reserved, 0, false),
	SPACE_OP(IOASID_UNMAP, ioasid_cmd_unmap, struct ioasid_unmap, ioasid,
		 unmapped, IOASID_UNMAP_ALL | IOASID_UNMAP_EMPTY_OK, true),
	SPACE_OP(IOASID_COPY, ioasid_cmd_copy, struct ioasid_copy, dst_ioasid,
		 length, IOASID_MAP_READ | IOASID_MAP_WRITE | IOASID_MAP_FIXED,
		 true),
	SPACE_OP(IOASID_RESERVE, ioasid_cmd_reserve, struct ioasid_reserve,
		 ioasid, __reserved, 0, false),
	SPACE_OP(IOASID_TRANSLATE, ioasid_cmd_translate,
		 struct ioasid_translate, ioasid, phys, IOASID_TRANSLATE_PHYS,
		 true),
	OP(IOASID_OPTION, ioasid_cmd_option, struct ioasid_option, value,
	   IOASID_OPTION_SET, true),
	SPACE_OP(IOASID_DEVICE_ATTACH, ioasid_cmd_device_attach,
		 struct ioasid_device_attach, ioasid, vpasid,
		 IOASID_ATTACH_REPLACE | IOASID_ATTACH_FD | IOASID_ATTACH_BIND_ONLY,
		 true),
	OP(IOASID_DEVICE_DETACH, ioasid_cmd_device_detach,
	   struct ioasid_device_detach, pasid,
	   IOASID_DETACH_FD | IOASID_DETACH_UNBIND, false),
	OP(IOASID_PASID_ALLOC, ioasid_cmd_pasid_alloc,
	   struct ioasid_pasid_alloc, pasids, 0, false),
	OP(IOASID_PASID_FREE, ioasid_cmd_pasid_free, struct ioasid_pasid_free,
	   pasids, 0, false),
	OP(IOASID_FAULT_QUEUE, ioasid_cmd_fault_queue,
	   struct ioasid_fault_queue, ring_bytes, 0, true),
	SPACE_OP(IOASID_FAULT_BIND, ioasid_cmd_fault_bind,
		 struct ioasid_fault_bind, ioasid, __reserved, 0, false),
	SPACE_OP(IOASID_INVALIDATE, ioasid_cmd_invalidate,
		 struct ioasid_invalidate, ioasid, __reserved,
		 IOASID_INVALIDATE_GENERIC, true),
};

static const struct ioasid_op *ioasid_find_op(unsigned int cmd)
{
	if (_IOC_TYPE(cmd) != IOASID_TYPE || _IOC_DIR(cmd) || _IOC_SIZE(cmd) ||
	    _IOC_NR(cmd) >= ARRAY_SIZE(ioasid_ops) ||
	    !ioasid_ops[_IOC_NR(cmd)].fn)
		return NULL;
	return &ioasid_ops[_IOC_NR(cmd)];
}

/*
 * Fails before the command takes effect if its answer cannot be written. The
 * struct is smaller than a page, so probing both ends covers every page it is
 * in.
 */
static int ioasid_check_writable(struct ioasid_command *cmd,
				 const struct ioasid_op *op)
{
	u32 last = min_t(u32, cmd->usize, op->size) - 1;

	if (put_user(cmd->usize, (u32 __user *)cmd->uptr) ||
	    put_user(((u8 *)cmd->arg)[last], (u8 __user *)cmd->uptr + last))
		return ioasid_fail(cmd->extack, -EFAULT, IOASID_REASON_POINTER,
				   "%s: cannot write the struct", op->name);
	return 0;
}

static int ioasid_check_struct(struct ioasid_command *cmd,
			       const struct ioasid_op *op)
{
	struct ioasid_header *header = cmd->arg;
	int rc;

	if (cmd->usize < op->min_size) {
		cmd->extack->value = op->min_size;
		return ioasid_fail(cmd->extack, -EINVAL, IOASID_REASON_SIZE,
				   "%s: size %u is less than %u", op->name,
				   cmd->usize, op->min_size);
	}
	/* Bounds the search for nonzero bytes */
	rc = cmd->usize > PAGE_SIZE ? -E2BIG :
	     copy_struct_from_user(cmd->arg, op->size, cmd->uptr, cmd->usize);
	if (rc == -E2BIG)
		return ioasid_fail(cmd->extack, rc, IOASID_REASON_SIZE,
				   "%s: the struct is longer than the %u bytes of this kernel, and the rest is not zero",
				   op->name, op->size);
	if (rc)
		return ioasid_fail(cmd->extack, rc, IOASID_REASON_POINTER,
				   "%s: cannot read the struct", op->name);
	/* Whatever fails from here on, for the user it is about this space */
	if (op->space)
		cmd->extack->ioasid = *(u32 *)(cmd->arg + op->space);
	if (header->flags & ~op->flags) {
		cmd->extack->value = header->flags & ~op->flags;
		return ioasid_fail(cmd->extack, -EOPNOTSUPP,
				   IOASID_REASON_FLAGS, "%s: unknown flags %#x",
				   op->name, header->flags & ~op->flags);
	}
	return op->out ? ioasid_check_writable(cmd, op) : 0;
}

static long ioasid_ioctl(struct file *file, unsigned int nr, unsigned long arg)
{
	const struct ioasid_op *op = ioasid_find_op(nr);
	struct ioasid_extack extack __uninitialized;
	union ioasid_args args __uninitialized;
	struct ioasid_header header;
	struct ioasid_command cmd = {
		.ctx = file->private_data,
		.uptr = (void __user *)arg,
		.arg = &args,
		.extack = &extack,
	};
	int rc;

	if (!op)
		return -ENOTTY;
	if (get_user(header.size, (u32 __user *)arg))
		return -EFAULT;
	if (header.size < sizeof(header))
		return -EINVAL;
	if (get_user(header.extack,
		     &((struct ioasid_header __user *)arg)->extack))
		return -EFAULT;
	rc = ioasid_extack_check(header.extack);
	if (rc)
		return rc;

	ioasid_extack_init(&extack);
	cmd.usize = header.size;
	rc = ioasid_check_struct(&cmd, op);
	if (!rc)
		rc = op->fn(&cmd);
	/* After the signal the command is begun anew, so it has not failed */
	if (rc && rc != -ERESTARTNOINTR) {
		trace_ioasid_error(cmd.ctx->nr, op->name, rc, &extack);
		ioasid_extack_to_user(&extack, header.extack, rc);
	}
	return rc;
}

static int ioasid_open(struct inode *inode, struct file *file)
{
	struct ioasid_ctx *ctx = ioasid_ctx_create();

	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	file->private_data = ctx;
	trace_ioasid_open(ctx->nr, ctx->opener);
	return nonseekable_open(inode, file);
}

static int ioasid_release(struct inode *inode, struct file *file)
{
	struct ioasid_ctx *ctx = file->private_data;

	trace_ioasid_close(ctx->nr, atomic64_read(&ctx->pinned));
	ioasid_ctx_close(ctx);
	return 0;
}

const struct file_operations ioasid_fops = {
	.owner = THIS_MODULE,
	.open = ioasid_open,
	.release = ioasid_release,
	.unlocked_ioctl = ioasid_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice ioasid_miscdev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ioasid",
	.fops = &ioasid_fops,
	.mode = 0660,
};

/**
 * sva_get_from_fd() - get the context of a user's fd
 * @fd: fd of an open /dev/ioasid
 * @extack: the reason if it fails
 *
 * Context: a user process.
 *
 * Return: the context with a reference that keeps it alive beyond the fd,
 * ERR_PTR(-EBADF) if the fd is not open, or ERR_PTR(-EINVAL) if it is not
 * /dev/ioasid.
 */
struct ioasid_ctx *sva_get_from_fd(int fd, struct ioasid_extack *extack)
{
	struct ioasid_ctx *ctx = ERR_PTR(-EINVAL);
	struct file *file = fget(fd);

	if (!file) {
		ioasid_fail(extack, -EBADF, IOASID_REASON_FD,
			    "%d is not an open file", fd);
		return ERR_PTR(-EBADF);
	}
	if (file->f_op == &ioasid_fops) {
		ctx = file->private_data;
		kref_get(&ctx->ref);
	} else {
		ioasid_fail(extack, -EINVAL, IOASID_REASON_FD,
			    "fd %d is not /dev/ioasid", fd);
	}
	fput(file);
	return ctx;
}
IOASID_EXPORT(sva_get_from_fd);

static int __init ioasid_module_init(void)
{
	int rc = ioasid_pages_setup();

	if (rc)
		return rc;
	rc = ioasid_queues_setup();
	if (rc)
		goto pages;
	ioasid_drain_setup();
	ioasid_debugfs_setup();
	rc = misc_register(&ioasid_miscdev);
	if (!rc)
		return 0;
	ioasid_debugfs_teardown();
	ioasid_queues_teardown();
pages:
	ioasid_pages_teardown();
	return rc;
}

static void __exit ioasid_module_exit(void)
{
	misc_deregister(&ioasid_miscdev);
	ioasid_debugfs_teardown();
	ioasid_deferred_free_teardown();
	ioasid_mm_pasids_teardown();
	ioasid_queues_teardown();
	ioasid_pages_teardown();
}

module_init(ioasid_module_init);
module_exit(ioasid_module_exit);
MODULE_DESCRIPTION("I/O address spaces for user space: /dev/ioasid");
MODULE_AUTHOR("The ioasid developers");
MODULE_LICENSE("GPL");
IOASID_IMPORT_NS(IOMMUFD_INTERNAL);
