// SPDX-License-Identifier: GPL-2.0
/*
 * What every command owes its caller whatever it does: sizes, flags, reserved
 * fields, pointers, ids and the extack. One variant for each command, so that
 * a new command gets all of these tests by one entry.
 */
#include <fcntl.h>
#include <linux/iommufd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "harness.h"

#define AT		0x40000000ULL	/* where the fixture has a page mapped */
#define UNKNOWN_DEVICE	77
#define UNKNOWN_SPACE	4242
#define NOWHERE		((void *)0x10000)	/* below the first mapping of a process */
#define KERNEL		((void *)0xffff888000000000ULL)

struct head {
	u32 size;
	u32 flags;
	u64 extack;
};

/* A field by its place: a reserved one, or an id */
struct field {
	u32 offset;
	u32 length;
};

#define FIELD(type, member)	{ offsetof(struct type, member), sizeof(((struct type *)0)->member) }

FIXTURE(abi) {
	int fd;
	u32 space;
	u32 other;
	u32 spare;		/* for FREE */
	char *page;
	struct t_dma dev;
	bool has_dev;
	int target;		/* the fd that the command goes to */
	u32 pasid;
	u32 faults;
	u32 parent;
	u32 nested;
	struct iommu_hwpt_vtd_s1 table;
	struct ioasid_invalidate_entry entry;
	struct ioasid_map_range map_range;
	struct ioasid_unmap_range unmap_range;
	char buf[8192] __attribute__((aligned(4096)));
};

FIXTURE_VARIANT(abi) {
	unsigned long cmd;
	u32 size;
	u32 known_flags;
	struct field reserved[6];
	struct field space_ids[3];
	struct field device_id;
	u32 first_size;		/* of the struct, if it has grown since */
	bool needs_device;
	bool wants_device;	/* cannot even be called without one */
	bool writes_back;
	bool nested;		/* ALLOC of a space with a table of the user's */
};

#define COMMAND(name, CMD, ...)							\
FIXTURE_VARIANT_ADD(abi, name) {						\
	.cmd = CMD, .size = sizeof(struct ioasid_##name), __VA_ARGS__ }

COMMAND(info, IOASID_GET_INFO, .writes_back = true);
COMMAND(device_info, IOASID_DEVICE_INFO, .writes_back = true,
	.device_id = FIELD(ioasid_device_info, dev_id));
COMMAND(alloc, IOASID_ALLOC, .writes_back = true,
	.known_flags = IOASID_ALLOC_FAULTS | IOASID_ALLOC_NEST_PARENT,
	.reserved = { FIELD(ioasid_alloc, parent), FIELD(ioasid_alloc, data_type),
		      FIELD(ioasid_alloc, data_len), FIELD(ioasid_alloc, __reserved),
		      FIELD(ioasid_alloc, data) });
COMMAND(free, IOASID_FREE,
	.reserved = { FIELD(ioasid_free, __reserved) },
	.space_ids = { FIELD(ioasid_free, ioasid) });
COMMAND(space_info, IOASID_SPACE_INFO, .writes_back = true,
	.space_ids = { FIELD(ioasid_space_info, ioasid) });
COMMAND(map, IOASID_MAP,
	.reserved = { FIELD(ioasid_map, __reserved) },
	.space_ids = { FIELD(ioasid_map, ioasid) });
COMMAND(unmap, IOASID_UNMAP, .known_flags = IOASID_UNMAP_ALL | IOASID_UNMAP_EMPTY_OK, .writes_back = true,
	.reserved = { FIELD(ioasid_unmap, __reserved) },
	.space_ids = { FIELD(ioasid_unmap, ioasid) });
COMMAND(copy, IOASID_COPY, .writes_back = true,
	.known_flags = IOASID_MAP_READ | IOASID_MAP_WRITE | IOASID_MAP_FIXED,
	.space_ids = { FIELD(ioasid_copy, src_ioasid), FIELD(ioasid_copy, dst_ioasid) });
COMMAND(reserve, IOASID_RESERVE,
	.reserved = { FIELD(ioasid_reserve, __reserved) },
	.space_ids = { FIELD(ioasid_reserve, ioasid) });
COMMAND(translate, IOASID_TRANSLATE, .known_flags = IOASID_TRANSLATE_PHYS, .writes_back = true,
	.space_ids = { FIELD(ioasid_translate, ioasid) });
COMMAND(option, IOASID_OPTION, .known_flags = IOASID_OPTION_SET, .writes_back = true,
	.reserved = { FIELD(ioasid_option, __reserved) });
/* Fields that name a device by its file must be 0 unless a flag is set */
COMMAND(device_attach, IOASID_DEVICE_ATTACH, .writes_back = true,
	.known_flags = IOASID_ATTACH_REPLACE | IOASID_ATTACH_FD | IOASID_ATTACH_BIND_ONLY,
	.first_size = offsetof(struct ioasid_device_attach, nr_devices),
	.reserved = { FIELD(ioasid_device_attach, device_fd),
		      FIELD(ioasid_device_attach, devices) },
	.space_ids = { FIELD(ioasid_device_attach, ioasid) },
	.device_id = FIELD(ioasid_device_attach, dev_id));
COMMAND(device_detach, IOASID_DEVICE_DETACH,
	.known_flags = IOASID_DETACH_FD | IOASID_DETACH_UNBIND,
	.first_size = offsetof(struct ioasid_device_detach, device_fd),
	.reserved = { FIELD(ioasid_device_detach, device_fd),
		      FIELD(ioasid_device_detach, __reserved) },
	.device_id = FIELD(ioasid_device_detach, dev_id));
COMMAND(pasid_alloc, IOASID_PASID_ALLOC,
	.device_id = FIELD(ioasid_pasid_alloc, dev_id));
COMMAND(fault_queue, IOASID_FAULT_QUEUE, .writes_back = true);
COMMAND(fault_bind, IOASID_FAULT_BIND,
	.reserved = { FIELD(ioasid_fault_bind, __reserved) });
COMMAND(pasid_free, IOASID_PASID_FREE, .wants_device = true,
	.reserved = { FIELD(ioasid_pasid_free, __reserved) });
/* The format of entries must be 0 with those that are for all formats */
COMMAND(invalidate, IOASID_INVALIDATE, .known_flags = IOASID_INVALIDATE_GENERIC,
	.writes_back = true,
	.reserved = { FIELD(ioasid_invalidate, data_type), FIELD(ioasid_invalidate, __reserved) },
	.space_ids = { FIELD(ioasid_invalidate, ioasid) });

FIXTURE_VARIANT_ADD(abi, alloc_nested) {
	.cmd = IOASID_ALLOC, .size = sizeof(struct ioasid_alloc), .nested = true,
	.known_flags = IOASID_ALLOC_FAULTS | IOASID_ALLOC_NEST_PARENT, .writes_back = true,
	.reserved = { FIELD(ioasid_alloc, __reserved) },
};

FIXTURE_VARIANT_ADD(abi, vfio_attach) {
	.cmd = VFIO_DEVICE_ATTACH, .size = sizeof(struct vfio_device_attach),
	.known_flags = IOASID_ATTACH_REPLACE | VFIO_DEVICE_ATTACH_BIND_ONLY,
	.space_ids = { FIELD(vfio_device_attach, ioasid) },
	.needs_device = true, .writes_back = true,
};

FIXTURE_VARIANT_ADD(abi, vfio_detach) {
	.cmd = VFIO_DEVICE_DETACH, .size = sizeof(struct vfio_device_detach),
	.needs_device = true,
};

FIXTURE_SETUP(abi)
{
	bool on_device = variant->device_id.length || variant->needs_device ||
			 variant->wants_device;
	int ret;

	self->fd = t_open();
	ASSERT_FD(self->fd);
	self->page = t_memory(T_ANON, T_PAGE);
	ASSERT_NE(NULL, self->page);
	ASSERT_OK(t_alloc(self->fd, &self->space));
	ASSERT_OK(t_alloc(self->fd, &self->other));
	ASSERT_OK(t_map_at(self->fd, self->space, self->page, T_PAGE, T_RW, AT));
	self->target = self->fd;
	if (!on_device)
		return;
	ret = t_dma_open(&self->dev, T_EDU, 0, VFIO_IOASID_IOMMU);
	if (ret == -ENOENT) {
		if (variant->needs_device)
			SKIP(return, "needs an edu");
		return;
	}
	ASSERT_EQ(0, ret) TH_LOG("%s failed", t_vfio_step);
	self->has_dev = true;
	if (variant->needs_device)
		self->target = self->dev.vfio.container;
	ASSERT_OK(t_vfio_bind(&self->dev.vfio, self->fd));
}

FIXTURE_TEARDOWN(abi)
{
	if (self->has_dev)
		t_dma_close(&self->dev);
	close(self->fd);
}

#define BUILD(type, ...) \
	memcpy(self->buf, &(struct type){ __VA_ARGS__ }, sizeof(struct type))

static void build_nested(FIXTURE_DATA(abi) *self)
{
	struct ioasid_alloc parent = {
		.size = sizeof(parent), .kind = IOASID_KIND_MAPPED,
		.flags = IOASID_ALLOC_NEST_PARENT,
	};

	if (!self->parent && !t_cmd(self->fd, IOASID_ALLOC, &parent))
		self->parent = parent.ioasid;
	self->table = (struct iommu_hwpt_vtd_s1){ .addr_width = 48 };
	BUILD(ioasid_alloc, .size = sizeof(parent), .kind = IOASID_KIND_NESTED,
	      .parent = self->parent, .data_type = IOMMU_HWPT_DATA_VTD_S1,
	      .data_len = sizeof(self->table), .data = (uintptr_t)&self->table);
}

/* Bring the context in a state where the command can be called, and fill in
 * self->buf so that it would succeed (see valid_errno() for when it cannot).
 */
static void build(FIXTURE_DATA(abi) *self, const FIXTURE_VARIANT(abi) *variant)
{
	u32 dev_id = self->has_dev ? self->dev.vfio.dev_id : UNKNOWN_DEVICE;
	struct head *head = (struct head *)self->buf;
	struct ioasid_space_info info;

	memset(self->buf, 0, sizeof(self->buf));
	switch (variant->cmd) {
	case IOASID_DEVICE_INFO:
		BUILD(ioasid_device_info, .dev_id = dev_id);
		break;
	case IOASID_ALLOC:
		if (variant->nested)
			build_nested(self);
		else
			BUILD(ioasid_alloc, .kind = IOASID_KIND_MAPPED, .label = "abi");
		break;
	case IOASID_FREE:
		if (t_space_info(self->fd, self->spare, &info))
			t_alloc(self->fd, &self->spare);
		BUILD(ioasid_free, .ioasid = self->spare);
		break;
	case IOASID_SPACE_INFO:
		BUILD(ioasid_space_info, .ioasid = self->space);
		break;
	case IOASID_MAP:
		self->map_range = (struct ioasid_map_range){
			.addr = (uintptr_t)self->page, .length = T_PAGE, .flags = T_RW };
		BUILD(ioasid_map, .ioasid = self->space, .nr = 1,
		      .ranges = (uintptr_t)&self->map_range,
		      .range_size = sizeof(self->map_range));
		break;
	case IOASID_UNMAP:
		t_map_at(self->fd, self->space, self->page, T_PAGE, T_RW, AT);
		self->unmap_range = (struct ioasid_unmap_range){ AT, T_PAGE };
		BUILD(ioasid_unmap, .ioasid = self->space, .nr = 1,
		      .ranges = (uintptr_t)&self->unmap_range,
		      .range_size = sizeof(self->unmap_range));
		break;
	case IOASID_COPY:
		BUILD(ioasid_copy, .flags = IOASID_MAP_READ, .src_ioasid = self->space,
		      .dst_ioasid = self->other, .src_iova = AT, .length = T_PAGE);
		break;
	case IOASID_RESERVE:
		BUILD(ioasid_reserve, .ioasid = self->space);
		break;
	case IOASID_TRANSLATE:
		BUILD(ioasid_translate, .ioasid = self->space, .iova = AT);
		break;
	case IOASID_OPTION:
		BUILD(ioasid_option, .option = IOASID_OPTION_ACCOUNT_MODE);
		break;
	case IOASID_DEVICE_ATTACH:
		t_detach(self->fd, dev_id);
		BUILD(ioasid_device_attach, .dev_id = dev_id, .ioasid = self->space);
		break;
	case IOASID_DEVICE_DETACH:
		t_attach(self->fd, dev_id, self->space, 0);
		BUILD(ioasid_device_detach, .dev_id = dev_id);
		break;
	case IOASID_FAULT_QUEUE:
		BUILD(ioasid_fault_queue, .depth = 16, .eventfd = -1);
		break;
	case IOASID_FAULT_BIND:
		if (!self->faults)
			t_alloc_faults(self->fd, &self->faults);
		BUILD(ioasid_fault_bind, .ioasid = self->faults);
		break;
	case IOASID_INVALIDATE:
		build_nested(self);
		if (!self->nested && !t_cmd(self->fd, IOASID_ALLOC, self->buf))
			self->nested = ((struct ioasid_alloc *)self->buf)->ioasid;
		memset(self->buf, 0, sizeof(self->buf));
		self->entry = (struct ioasid_invalidate_entry){
			.type = IOASID_INVALIDATE_IOTLB, .pasid = IOASID_PASID_ANY };
		BUILD(ioasid_invalidate, .flags = IOASID_INVALIDATE_GENERIC,
		      .ioasid = self->nested, .entry_size = sizeof(self->entry), .nr = 1,
		      .entries = (uintptr_t)&self->entry);
		break;
	case IOASID_PASID_ALLOC:
		BUILD(ioasid_pasid_alloc, .dev_id = dev_id, .nr = 1,
		      .pasids = (uintptr_t)&self->pasid);
		break;
	case IOASID_PASID_FREE:
		t_pasid_alloc(self->fd, dev_id, 1, &self->pasid);
		BUILD(ioasid_pasid_free, .nr = 1, .pasids = (uintptr_t)&self->pasid);
		break;
	case VFIO_DEVICE_ATTACH:
		t_detach(self->fd, dev_id);
		BUILD(vfio_device_attach, .ioasid_fd = self->fd, .device_fd = self->dev.vfio.device,
		      .ioasid = self->space);
		break;
	case VFIO_DEVICE_DETACH:
		t_attach(self->fd, dev_id, self->space, 0);
		BUILD(vfio_device_detach, .device_fd = self->dev.vfio.device);
		break;
	}
	head->size = variant->size;
}

/* What a call that has nothing wrong with it gives on this bed */
static int valid_errno(FIXTURE_DATA(abi) *self, const FIXTURE_VARIANT(abi) *variant)
{
	struct ioasid_device_info device = { .size = sizeof(device) };
	bool has_pasids = self->has_dev &&
			  !t_device_info(self->fd, self->dev.vfio.dev_id, &device) &&
			  device.caps & IOASID_DEVICE_PASID;

	if (variant->cmd == IOASID_PASID_FREE && !has_pasids)
		return -ENOENT;
	if (variant->cmd == IOASID_PASID_ALLOC && self->has_dev && !has_pasids)
		return -EOPNOTSUPP;

	if (variant->device_id.length && !self->has_dev)
		return -ENOENT;
	return 0;
}

static int call(FIXTURE_DATA(abi) *self, const FIXTURE_VARIANT(abi) *variant)
{
	return t_cmd(self->target, variant->cmd, self->buf);
}

static struct head *head_of(FIXTURE_DATA(abi) *self)
{
	return (struct head *)self->buf;
}

TEST_F(abi, valid_call)
{
	build(self, variant);
	EXPECT_EQ(valid_errno(self, variant), call(self, variant)) TH_LOG("%s", t_explain());
}

/* A struct of a program older than the first release does not exist */
TEST_F(abi, size_too_small)
{
	u32 size;

	for (size = 0; size < (variant->first_size ?: variant->size); size++) {
		build(self, variant);
		head_of(self)->size = size;
		EXPECT_EQ(-EINVAL, call(self, variant)) TH_LOG("size %u", size);
		if (size >= sizeof(struct head))
			EXPECT_EQ(IOASID_REASON_SIZE, t_extack.code) TH_LOG("%s", t_explain());
	}
}

/* A program of the first release, on a kernel whose structs are longer */
TEST_F(abi, size_of_first_release)
{
	u32 first = variant->first_size ?: variant->size;

	build(self, variant);
	memset(self->buf + first, 0xa5, sizeof(self->buf) - first);
	head_of(self)->size = first;
	EXPECT_EQ(valid_errno(self, variant), call(self, variant)) TH_LOG("%s", t_explain());
	EXPECT_EQ(-1, t_not_byte(self->buf + first, sizeof(self->buf) - first, 0xa5));
}

/* A program newer than the kernel that uses nothing new */
TEST_F(abi, size_larger_zero_tail)
{
	static const u32 more[] = { 1, 8, 64, 1024 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(more); i++) {
		build(self, variant);
		head_of(self)->size = variant->size + more[i];
		EXPECT_EQ(valid_errno(self, variant), call(self, variant)) TH_LOG("%s", t_explain());
	}
}

/* ... and one that does: each byte of the tail counts */
TEST_F(abi, size_larger_tail_not_zero)
{
	static const u32 where[] = { 0, 1, 7, 62, 63 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(where); i++) {
		build(self, variant);
		head_of(self)->size = variant->size + 64;
		self->buf[variant->size + where[i]] = 1;
		EXPECT_FAIL(E2BIG, SIZE, call(self, variant));
	}
}

TEST_F(abi, size_huge)
{
	static const u32 sizes[] = { 1u << 30, 1u << 31, UINT32_MAX };
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		build(self, variant);
		head_of(self)->size = sizes[i];
		ret = call(self, variant);
		EXPECT_TRUE(ret == -E2BIG || ret == -EFAULT) TH_LOG("size %#x gives %d", sizes[i], ret);
	}
}

/* Nothing behind the struct is read: it ends where memory ends */
TEST_F(abi, struct_at_end_of_memory)
{
	char *mem = mmap(NULL, 2 * T_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = mem + T_PAGE - variant->size;

	ASSERT_EQ(0, munmap(mem + T_PAGE, T_PAGE));
	build(self, variant);
	memcpy(at, self->buf, variant->size);
	EXPECT_EQ(valid_errno(self, variant), t_cmd(self->target, variant->cmd, at));

	build(self, variant);
	memcpy(at, self->buf, variant->size);
	((struct head *)at)->size += 8;
	EXPECT_EQ(-EFAULT, t_cmd(self->target, variant->cmd, at)) TH_LOG("%s", t_explain());
}

TEST_F(abi, unknown_flags_and_reserved_fields)
{
	const struct field *f;
	u32 i;

	for (i = 0; i < 32; i++) {
		if (variant->known_flags & (1u << i))
			continue;
		build(self, variant);
		head_of(self)->flags |= 1u << i;
		EXPECT_FAIL(EOPNOTSUPP, FLAGS, call(self, variant));
	}
	for (f = variant->reserved; f->length; f++) {
		for (i = 0; i < f->length; i++) {
			build(self, variant);
			self->buf[f->offset + i] = 0x80;
			EXPECT_FAIL(EOPNOTSUPP, FLAGS, call(self, variant));
		}
	}
}

TEST_F(abi, bad_struct_pointer)
{
	EXPECT_EQ(-EFAULT, t_ioctl(self->target, variant->cmd, NULL));
	EXPECT_EQ(-EFAULT, t_ioctl(self->target, variant->cmd, NOWHERE));
	EXPECT_EQ(-EFAULT, t_ioctl(self->target, variant->cmd, KERNEL));
}

/* What a failed command must not have changed */
static bool same_usage(int fd, const struct ioasid_info *before)
{
	struct ioasid_info now;

	return !t_info(fd, &now) && now.nr_spaces == before->nr_spaces &&
	       now.nr_mappings == before->nr_mappings && now.pinned == before->pinned &&
	       now.mapped == before->mapped && now.nr_devices == before->nr_devices;
}

TEST_F(abi, bad_extack_pointer)
{
	void *const bad[] = { NOWHERE, KERNEL, (void *)~7ULL };
	struct ioasid_info before;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		build(self, variant);
		ASSERT_OK(t_info(self->fd, &before));
		head_of(self)->extack = (uintptr_t)bad[i];
		EXPECT_EQ(-EFAULT, t_ioctl(self->target, variant->cmd, self->buf));
		EXPECT_TRUE(same_usage(self->fd, &before));
	}
}

TEST_F(abi, extack_size_too_small)
{
	struct ioasid_extack extack;
	struct ioasid_info before;
	u32 size;

	for (size = 0; size < 8; size++) {
		build(self, variant);
		ASSERT_OK(t_info(self->fd, &before));
		memset(&extack, 0xaa, sizeof(extack));
		extack.size = size;
		head_of(self)->extack = (uintptr_t)&extack;
		EXPECT_EQ(-EINVAL, t_ioctl(self->target, variant->cmd, self->buf));
		EXPECT_TRUE(same_usage(self->fd, &before));
		EXPECT_EQ(-1, t_not_byte((char *)&extack + 4, sizeof(extack) - 4, 0xaa));
	}
}

/* A program with an older or a newer struct ioasid_extack */
TEST_F(abi, extack_of_any_size)
{
	static const u32 sizes[] = { 8, 12, 20, 24, 32, 33, 40, 100, 192, 200, 4000 };
	const u32 msg = offsetof(struct ioasid_extack, msg);
	union {
		struct ioasid_extack extack;
		unsigned char bytes[4096];
	} mem;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(&mem, 0xaa, sizeof(mem));
		mem.extack.size = sizes[i];
		build(self, variant);
		head_of(self)->flags |= 1u << 31;
		head_of(self)->extack = (uintptr_t)&mem;
		EXPECT_EQ(-EOPNOTSUPP, t_ioctl(self->target, variant->cmd, self->buf));
		EXPECT_EQ(IOASID_REASON_FLAGS, mem.extack.code);
		EXPECT_EQ(sizes[i], mem.extack.size);
		EXPECT_EQ(-1, t_not_byte(mem.bytes + sizes[i], sizeof(mem) - sizes[i], 0xaa));
		if (sizes[i] >= offsetof(struct ioasid_extack, pasid))
			EXPECT_EQ(IOASID_NO_INDEX, mem.extack.index);
		/* However short, the sentence ends */
		if (sizes[i] > msg)
			EXPECT_NE(NULL, memchr(mem.extack.msg, 0, sizes[i] - msg));
		if (sizes[i] > msg + 1)
			EXPECT_NE('\0', mem.extack.msg[0]);
	}
}

TEST_F(abi, extack_unaligned)
{
	char mem[sizeof(struct ioasid_extack) + 8];
	struct ioasid_extack extack;
	int off;

	for (off = 1; off < 8; off++) {
		memset(mem, 0xaa, sizeof(mem));
		memset(&extack, 0, sizeof(extack));
		extack.size = sizeof(extack);
		memcpy(mem + off, &extack, sizeof(extack));
		build(self, variant);
		head_of(self)->flags |= 1u << 31;
		head_of(self)->extack = (uintptr_t)mem + off;
		EXPECT_EQ(-EOPNOTSUPP, t_ioctl(self->target, variant->cmd, self->buf));
		memcpy(&extack, mem + off, sizeof(extack));
		EXPECT_EQ(IOASID_REASON_FLAGS, extack.code);
	}
}

TEST_F(abi, extack_left_alone_on_success)
{
	struct ioasid_extack extack;

	NEED(!valid_errno(self, variant), "the command cannot succeed here");
	memset(&extack, 0xaa, sizeof(extack));
	extack.size = sizeof(extack);
	build(self, variant);
	head_of(self)->extack = (uintptr_t)&extack;
	ASSERT_EQ(0, t_ioctl(self->target, variant->cmd, self->buf));
	EXPECT_EQ(sizeof(extack), extack.size);
	EXPECT_EQ(-1, t_not_byte((char *)&extack + 4, sizeof(extack) - 4, 0xaa));
}

/* No extack at all: the errno is the same */
TEST_F(abi, no_extack)
{
	build(self, variant);
	EXPECT_EQ(valid_errno(self, variant), t_ioctl(self->target, variant->cmd, self->buf));
	build(self, variant);
	head_of(self)->flags |= 1u << 31;
	EXPECT_EQ(-EOPNOTSUPP, t_ioctl(self->target, variant->cmd, self->buf));
}

static void set_field(char *buf, const struct field *f, u32 value)
{
	memcpy(buf + f->offset, &value, sizeof(value));
}

/* Refused, and the id that is at fault is named twice: as a number and in the sentence */
#define EXPECT_NO_SUCH(reason, member, id) do {					\
	char __number[16];							\
										\
	EXPECT_FAIL(ENOENT, reason, call(self, variant));			\
	EXPECT_EQ((id), t_extack.member);						\
	snprintf(__number, sizeof(__number), "%u", (id));			\
	EXPECT_NE(NULL, strstr(t_extack.msg, __number)) TH_LOG("%s", t_explain());	\
} while (0)

/*
 * Space ids: two that nobody has, one that nobody has had, one that was freed,
 * one that only another context has.
 */
static void space_ids(struct __test_metadata *_metadata, FIXTURE_DATA(abi) *self,
		      const FIXTURE_VARIANT(abi) *variant)
{
	u32 ids[] = { 0, UINT32_MAX, UNKNOWN_SPACE, 0, 0 };
	int stranger = t_open();
	const struct field *f;
	size_t i;

	ASSERT_FD(stranger);
	build(self, variant);
	ASSERT_OK(t_alloc(self->fd, &ids[3]));
	ASSERT_OK(t_free(self->fd, ids[3]));
	for (i = 0; i < 100; i++)
		ASSERT_OK(t_alloc(stranger, &ids[4]));
	for (f = variant->space_ids; f->length; f++) {
		for (i = 0; i < ARRAY_SIZE(ids); i++) {
			build(self, variant);
			set_field(self->buf, f, ids[i]);
			EXPECT_NO_SUCH(NO_SPACE_ID, ioasid, ids[i]);
		}
	}
	close(stranger);
}

TEST_F(abi, unknown_ids)
{
	static const u32 ids[] = { 0, UINT32_MAX, UNKNOWN_DEVICE };
	size_t i;

	NEED(variant->space_ids[0].length || variant->device_id.length,
	     "the command names no object");
	for (i = 0; variant->device_id.length && i < ARRAY_SIZE(ids); i++) {
		build(self, variant);
		set_field(self->buf, &variant->device_id, ids[i]);
		EXPECT_NO_SUCH(NO_DEVICE_ID, dev_id, ids[i]);
	}
	if (variant->space_ids[0].length && !valid_errno(self, variant))
		space_ids(_metadata, self, variant);
}

/*
 * The struct is read-only memory. A command that answers in it cannot, and so
 * must not do anything; one that does not never writes there.
 */
TEST_F(abi, struct_not_writable)
{
	int want = valid_errno(self, variant);
	struct ioasid_info before;
	char *mem;

	if (variant->writes_back && !want)
		want = -EFAULT;
	mem = mmap(NULL, T_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	build(self, variant);
	memcpy(mem, self->buf, variant->size);
	((struct head *)mem)->extack = (uintptr_t)&t_extack;
	ASSERT_OK(t_info(self->fd, &before));
	ASSERT_EQ(0, mprotect(mem, T_PAGE, PROT_READ));
	EXPECT_EQ(want, t_ioctl(self->target, variant->cmd, mem)) TH_LOG("%s", t_explain());
	if (want)
		EXPECT_TRUE(same_usage(self->fd, &before));
	if (variant->cmd == VFIO_DEVICE_ATTACH)
		EXPECT_FAIL(ENOENT, NOT_ATTACHED, t_detach(self->fd, self->dev.vfio.dev_id));
}

/* A 32-bit program: the structs are the same, the way in is not */
#ifdef __x86_64__
static int compat_ioctl(int fd, u32 cmd, u32 arg)
{
	int ret;

	asm volatile("int $0x80" : "=a"(ret)
		     : "a"(54), "b"(fd), "c"(cmd), "d"(arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

static int compat_getpid(void *arg)
{
	int ret;

	asm volatile("int $0x80" : "=a"(ret) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	return ret != getpid();
}

TEST_F(abi, compat_32_bit)
{
	struct head *low = mmap(NULL, T_PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	ASSERT_NE(MAP_FAILED, low);
	NEED(!t_child(compat_getpid, NULL), "the kernel runs no 32-bit programs");
	build(self, variant);
	memcpy(low, self->buf, variant->size);
	EXPECT_EQ(valid_errno(self, variant),
		  compat_ioctl(self->target, variant->cmd, (uintptr_t)low));
	build(self, variant);
	memcpy(low, self->buf, variant->size);
	low->flags |= 1u << 31;
	EXPECT_EQ(-EOPNOTSUPP, compat_ioctl(self->target, variant->cmd, (uintptr_t)low));
}
#endif

FIXTURE(node) {
	int fd;
};

FIXTURE_SETUP(node)
{
	self->fd = t_open();
	ASSERT_FD(self->fd);
}

FIXTURE_TEARDOWN(node)
{
	close(self->fd);
}

TEST_F(node, unknown_commands)
{
	struct ioasid_info info = { .size = sizeof(info) };
	u32 nr;

	for (nr = 0x14; nr < 0x100; nr++)
		EXPECT_EQ(-ENOTTY, t_ioctl(self->fd, _IO(IOASID_TYPE, nr), &info)) TH_LOG("%#x", nr);
	/* Not commands until a kernel can track what devices write */
	EXPECT_EQ(-ENOTTY, t_ioctl(self->fd, _IO(IOASID_TYPE, 0x0d), &info));
	EXPECT_EQ(-ENOTTY, t_ioctl(self->fd, _IO(IOASID_TYPE, 0x0e), &info));
	/* Same number, wrong type, or a size in the command that nobody asked for */
	EXPECT_EQ(-ENOTTY, t_ioctl(self->fd, _IO(';', 0), &info));
	EXPECT_EQ(-ENOTTY, t_ioctl(self->fd, _IOWR(IOASID_TYPE, 0, struct ioasid_info), &info));
	EXPECT_EQ(-ENOTTY, t_ioctl(self->fd, VFIO_DEVICE_ATTACH, &info));
	EXPECT_EQ(-ENOTTY, t_ioctl(self->fd, VFIO_GET_API_VERSION, &info));
}

/* The other ways to use a file do nothing, and do it politely */
TEST_F(node, not_a_file_of_data)
{
	char byte = 0;

	EXPECT_EQ(-1, read(self->fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, T_PAGE, PROT_READ, MAP_SHARED, self->fd, 0));
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(node, info_of_a_fresh_context)
{
	struct ioasid_info info;

	ASSERT_OK(t_info(self->fd, &info));
	EXPECT_TRUE(info.caps & IOASID_CAP_MAPPED);
	EXPECT_TRUE(info.caps & IOASID_CAP_NESTED);
	EXPECT_EQ(IOASID_MAX_VECTOR, info.max_vector);
	EXPECT_EQ((u32)sysconf(_SC_PAGESIZE), info.page_size);
	EXPECT_EQ(IOASID_ACCOUNT_USER, info.account_mode);
	EXPECT_EQ(0, info.nr_spaces);
	EXPECT_EQ(0, info.nr_devices);
	EXPECT_EQ(0, info.nr_mappings);
	EXPECT_EQ(0, info.pinned);
	EXPECT_EQ(0, info.mapped);
	EXPECT_EQ(0, info.nr_pasids);
}

/* What is in a struct besides the inputs is no business of the kernel */
TEST_F(node, outputs_are_ignored_as_inputs)
{
	struct ioasid_info info;

	memset(&info, 0xff, sizeof(info));
	info.size = sizeof(info);
	info.flags = 0;
	ASSERT_OK(t_cmd(self->fd, IOASID_GET_INFO, &info));
	EXPECT_EQ(0, info.nr_spaces);
	EXPECT_EQ(0, info.nr_mappings);
}

/* Two opens are two contexts; a dup is the same one */
TEST_F(node, open_makes_a_context)
{
	int again = t_open(), same = dup(self->fd);
	struct ioasid_info info;
	u32 id;

	ASSERT_FD(again);
	ASSERT_OK(t_alloc(self->fd, &id));
	ASSERT_OK(t_info(again, &info));
	EXPECT_EQ(0, info.nr_spaces);
	ASSERT_OK(t_info(same, &info));
	EXPECT_EQ(1, info.nr_spaces);
	close(self->fd);
	ASSERT_OK(t_info(same, &info));
	EXPECT_EQ(1, info.nr_spaces);
	self->fd = same;
	close(again);
}

TEST_HARNESS_MAIN
