/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What main.c and the commands share. Commands unpack and check the user's
 * struct, call the engine and write the answer. The engine must never use
 * struct ioasid_command.
 */
#ifndef __IOASID_CMD_H
#define __IOASID_CMD_H

#include <linux/uaccess.h>
#include "../ioasid_private.h"

/**
 * struct ioasid_command - a command being executed
 * @ctx: the context
 * @uptr: the user's struct
 * @usize: its size in bytes
 * @arg: the kernel's copy, zero-padded
 * @extack: the reason if it fails
 */
struct ioasid_command {
	struct ioasid_ctx *ctx;
	void __user *uptr;
	u32 usize;
	void *arg;
	struct ioasid_extack *extack;
};

/**
 * struct ioasid_array - an array in user memory
 * @uptr: its address
 * @stride: size of an element in bytes, as the user compiled it
 * @nr: number of elements
 * @what: name of the elements in messages, in the plural
 */
struct ioasid_array {
	u64 uptr;
	u32 stride;
	u32 nr;
	const char *what;
};

static inline void __user *ioasid_array_at(const struct ioasid_array *array,
					   u32 i)
{
	return u64_to_user_ptr(array->uptr) + (size_t)i * array->stride;
}

/* user.c */
int ioasid_respond(struct ioasid_command *cmd, size_t size);
bool ioasid_try_respond(struct ioasid_command *cmd, size_t size);
int ioasid_check_zero(u32 reserved, struct ioasid_extack *extack);
int ioasid_get_elements(const struct ioasid_array *array, void *to, size_t size,
			struct ioasid_extack *extack);

/**
 * ioasid_get_element() - read an array of one element
 * @array: the array
 * @to: where to
 * @size: size of our element in bytes; a constant, which hardened usercopy need
 *	not check
 * @extack: the reason if it fails
 *
 * Context: a user process, no locks held; can sleep.
 *
 * Return: 0 or an error of ioasid_get_elements().
 */
static __always_inline int ioasid_get_element(const struct ioasid_array *array,
					      void *to, size_t size,
					      struct ioasid_extack *extack)
{
	if (likely(array->stride == size) &&
	    !copy_from_user(to, u64_to_user_ptr(array->uptr), size))
		return 0;
	/* The rare case, or the reason */
	return ioasid_get_elements(array, to, size, extack);
}

void *ioasid_get_array(const struct ioasid_array *array, size_t size,
		       struct ioasid_extack *extack);
int ioasid_put_ranges(const struct ioasid_array *array,
		      const struct ioasid_iova_range *ranges, u32 nr,
		      struct ioasid_extack *extack);

/* space.c */
int ioasid_cmd_alloc(struct ioasid_command *cmd);
int ioasid_cmd_free(struct ioasid_command *cmd);
int ioasid_cmd_space_info(struct ioasid_command *cmd);
int ioasid_cmd_reserve(struct ioasid_command *cmd);

/* map.c */
int ioasid_cmd_map(struct ioasid_command *cmd);
int ioasid_cmd_unmap(struct ioasid_command *cmd);
int ioasid_cmd_copy(struct ioasid_command *cmd);
int ioasid_cmd_translate(struct ioasid_command *cmd);

/* device.c */
int ioasid_cmd_device_attach(struct ioasid_command *cmd);
int ioasid_cmd_device_detach(struct ioasid_command *cmd);

/* pasid.c */
int ioasid_cmd_pasid_alloc(struct ioasid_command *cmd);
int ioasid_cmd_pasid_free(struct ioasid_command *cmd);

/* fault.c */
int ioasid_cmd_fault_queue(struct ioasid_command *cmd);
int ioasid_cmd_fault_bind(struct ioasid_command *cmd);

/* invalidate.c */
int ioasid_cmd_invalidate(struct ioasid_command *cmd);

/* info.c */
int ioasid_cmd_get_info(struct ioasid_command *cmd);
int ioasid_cmd_option(struct ioasid_command *cmd);
int ioasid_cmd_device_info(struct ioasid_command *cmd);

#endif /* __IOASID_CMD_H */
