// SPDX-License-Identifier: GPL-2.0
/*
 * What people and their tools see from outside: tracepoints and debugfs. Every
 * thing that happens must leave its line, with the right numbers in it; what
 * is gone must be gone from debugfs too.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include "harness.h"

#define TRACEFS		"/sys/kernel/tracing"
#define DEBUGFS		"/sys/kernel/debug/ioasid"
#define AT		0x100000000ULL

FIXTURE(trace) {
	int fd;
	u32 id;
	char *mem;
	char *text;
};

#define TEXT_ROOM	(256 * 1024)

static int clear_trace(void)
{
	int fd = open(TRACEFS "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC);

	return fd < 0 ? -errno : close(fd);
}

FIXTURE_SETUP(trace)
{
	mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	NEED(!access(TRACEFS "/events", F_OK), "no tracefs");
	ASSERT_EQ(0, access(TRACEFS "/events/ioasid/enable", F_OK));
	self->text = malloc(TEXT_ROOM);
	self->mem = t_memory(T_ANON, 8 * T_PAGE);
	ASSERT_EQ(0, clear_trace());
	ASSERT_EQ(0, t_write_file(TRACEFS "/events/ioasid/enable", "1"));
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc_label(self->fd, &self->id, "traced-space"));
}

FIXTURE_TEARDOWN(trace)
{
	if (self->fd >= 0)
		close(self->fd);
	t_write_file(TRACEFS "/events/ioasid/enable", "0");
	free(self->text);
}

/* Is there a line of that event with all these words? */
static bool traced(FIXTURE_DATA(trace) *self, const char *event, const char *a, const char *b)
{
	char name[64], *line, *save;
	bool found = false;

	if (t_read_file(TRACEFS "/trace", self->text, TEXT_ROOM) < 0)
		return false;
	snprintf(name, sizeof(name), " %s:", event);
	for (line = strtok_r(self->text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strstr(line, name) && strstr(line, a) && strstr(line, b))
			found = true;
	return found;
}

TEST_F(trace, open_and_close)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "pid=%d", getpid());
	EXPECT_TRUE(traced(self, "ioasid_open", pid, ""));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 3 * T_PAGE, T_RW, AT));
	close(self->fd);
	self->fd = -1;
	EXPECT_TRUE(traced(self, "ioasid_close", "pinned_pages=3", ""));
	/* Closing takes the space along, and that is to be seen as well */
	EXPECT_TRUE(traced(self, "ioasid_space_free", "traced-space", ""));
}

TEST_F(trace, spaces)
{
	char id[32];

	snprintf(id, sizeof(id), "ioasid=%u ", self->id);
	EXPECT_TRUE(traced(self, "ioasid_space_alloc", id, "label=traced-space"));
	ASSERT_OK(t_free(self->fd, self->id));
	EXPECT_TRUE(traced(self, "ioasid_space_free", id, "label=traced-space"));
}

TEST_F(trace, map_and_unmap)
{
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 2 * T_PAGE, T_RW, AT));
	EXPECT_TRUE(traced(self, "ioasid_map", "iova=0x100000000", "length=0x2000"));
	EXPECT_TRUE(traced(self, "ioasid_map", "iova=0x100000000", "prot=rw"));
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, IOASID_MAP_READ, AT + T_HUGE));
	EXPECT_TRUE(traced(self, "ioasid_map", "iova=0x100200000", "prot=r-"));
	ASSERT_OK(t_copy_at(self->fd, self->id, AT, self->id, AT + 2 * T_HUGE, T_PAGE, T_RW));
	EXPECT_TRUE(traced(self, "ioasid_map", "iova=0x100400000", "length=0x1000"));
	ASSERT_EQ(2 * T_PAGE, t_unmap(self->fd, self->id, AT, 2 * T_PAGE));
	EXPECT_TRUE(traced(self, "ioasid_unmap", "iova=0x100000000", "length=0x2000"));
}

/* A failure leaves the sentence, also for programs that did not ask for it */
TEST_F(trace, errors)
{
	struct ioasid_free cmd = { .size = sizeof(cmd), .ioasid = 4242 };

	ASSERT_EQ(-ENOENT, t_ioctl(self->fd, IOASID_FREE, &cmd));
	EXPECT_TRUE(traced(self, "ioasid_error", "err=-2", "4242"));
	EXPECT_FAIL(EINVAL, ALIGNMENT, t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, AT + 1));
	EXPECT_TRUE(traced(self, "ioasid_error", "err=-22", t_extack.msg));
}

TEST_F(trace, attach_and_detach)
{
	struct t_dma dev;

	NEED_DMA(&dev, T_EDU, 0);
	ASSERT_OK(t_vfio_attach(&dev.vfio, self->fd, self->id, 0));
	EXPECT_TRUE(traced(self, "ioasid_attach", dev.vfio.addr, "pasid=0"));
	ASSERT_OK(t_vfio_detach(&dev.vfio));
	EXPECT_TRUE(traced(self, "ioasid_detach", dev.vfio.addr, "pasid=0"));
	ASSERT_EQ(0, clear_trace());
	ASSERT_OK(t_vfio_attach(&dev.vfio, self->fd, self->id, 0));
	t_dma_close(&dev);
	/* Closing the device detaches it */
	EXPECT_TRUE(traced(self, "ioasid_detach", dev.vfio.addr, ""));
}

/* Nothing happens twice: one event for one command */
TEST_F(trace, one_line_for_one_command)
{
	char *at;
	int nr = 0;

	ASSERT_EQ(0, clear_trace());
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, T_PAGE, T_RW, AT));
	ASSERT_EQ(T_PAGE, t_unmap(self->fd, self->id, AT, T_PAGE));
	ASSERT_GT(t_read_file(TRACEFS "/trace", self->text, TEXT_ROOM), 0);
	for (at = self->text; (at = strstr(at, " ioasid_")); at++)
		nr++;
	EXPECT_EQ(2, nr) TH_LOG("%s", self->text);
}

/* --- debugfs ----------------------------------------------------------------- */

FIXTURE(debugfs) {
	int fd;
	u32 id;
	char *mem;
	char text[65536];
};

FIXTURE_SETUP(debugfs)
{
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	NEED(!access("/sys/kernel/debug", R_OK), "no debugfs");
	ASSERT_EQ(0, access(DEBUGFS, R_OK));
	self->mem = t_memory(T_ANON, 8 * T_PAGE);
	self->fd = t_open();
	ASSERT_FD(self->fd);
	ASSERT_OK(t_alloc_label(self->fd, &self->id, "label-of-a-test"));
}

FIXTURE_TEARDOWN(debugfs)
{
	if (self->fd >= 0)
		close(self->fd);
}

/* How many contexts have @word in their @file, all of which is left in @text */
static int seen(FIXTURE_DATA(debugfs) *self, const char *file, const char *word)
{
	struct dirent *entry;
	char path[512];
	int len = 0, nr = 0;
	DIR *dir = opendir(DEBUGFS);

	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), DEBUGFS "/%.200s/%s", entry->d_name, file);
		if (t_read_file(path, self->text + len, sizeof(self->text) - len) < 0)
			continue;
		if (strstr(self->text + len, word))
			nr++;
		len += strlen(self->text + len);
	}
	closedir(dir);
	return nr;
}

TEST_F(debugfs, context)
{
	char word[32];

	snprintf(word, sizeof(word), "opener=%d ", getpid());
	EXPECT_EQ(1, seen(self, "context", word)) TH_LOG("%s", self->text);
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, seen(self, "context", word)) TH_LOG("%s", self->text);
}

TEST_F(debugfs, spaces)
{
	ASSERT_OK(t_map_at(self->fd, self->id, self->mem, 8 * T_PAGE, T_RW, AT));
	EXPECT_EQ(1, seen(self, "spaces", "label-of-a-test")) TH_LOG("%s", self->text);
	EXPECT_EQ(1, seen(self, "spaces", "mappings=1 mapped_kib=32")) TH_LOG("%s", self->text);
	ASSERT_OK(t_free(self->fd, self->id));
	EXPECT_EQ(0, seen(self, "spaces", "label-of-a-test")) TH_LOG("%s", self->text);
}

TEST_F(debugfs, attachments)
{
	struct t_dma dev;

	NEED_DMA(&dev, T_EDU, 0);
	EXPECT_EQ(0, seen(self, "attachments", dev.vfio.addr));
	ASSERT_OK(t_vfio_attach(&dev.vfio, self->fd, self->id, 0));
	EXPECT_EQ(1, seen(self, "attachments", dev.vfio.addr)) TH_LOG("%s", self->text);
	t_dma_close(&dev);
	EXPECT_EQ(0, seen(self, "attachments", dev.vfio.addr)) TH_LOG("%s", self->text);
}

/* Someone has a file of it open when the context goes */
TEST_F(debugfs, open_file_outlives_nothing)
{
	struct dirent *entry;
	char path[512], byte;
	int fds[64], nr = 0, i;
	DIR *dir = opendir(DEBUGFS);

	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir)) && nr < 60) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), DEBUGFS "/%.200s/spaces", entry->d_name);
		fds[nr] = open(path, O_RDONLY);
		if (fds[nr] >= 0)
			nr++;
	}
	closedir(dir);
	ASSERT_GT(nr, 0);
	close(self->fd);
	self->fd = -1;
	for (i = 0; i < nr; i++) {
		EXPECT_GE(0, read(fds[i], &byte, 1));
		close(fds[i]);
	}
}

/* Looked at while everything changes */
static int looks(void *arg)
{
	FIXTURE_DATA(debugfs) *self = arg;
	uint64_t end = t_end_of_work(1500);
	static const char *const files[] = { "context", "spaces", "attachments" };
	int i = 0;

	do {
		seen(self, files[i % 3], "");
	} while (++i < 3 || t_now_ns() < end);
	return 0;
}

TEST_F(debugfs, read_while_changing)
{
	pid_t pid = t_fork(looks, self);
	uint64_t end = t_end_of_work(1500);
	u32 id;
	int fd;

	do {
		fd = t_open();
		ASSERT_FD(fd);
		ASSERT_OK(t_alloc_label(fd, &id, "fleeting"));
		ASSERT_OK(t_map_at(fd, id, self->mem, 8 * T_PAGE, T_RW, AT));
		ASSERT_OK(t_free(fd, id));
		close(fd);
	} while (t_now_ns() < end);
	EXPECT_EQ(0, t_wait(pid));
}

TEST_HARNESS_MAIN
