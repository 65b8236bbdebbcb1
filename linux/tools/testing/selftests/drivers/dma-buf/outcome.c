// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA_BUF_IOCTL_OUTCOME: why was my import refused?
 *
 * The importer is iommufd, and the buffer is that of its own test driver, which
 * has taken the memory back.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/iommufd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../../../drivers/iommu/iommufd/iommufd_test.h"
#include "../../kselftest_harness.h"

#define SIZE	0x10000

FIXTURE(outcome)
{
	int dmabuf;
	int iommufd;
	struct dma_buf_outcome told;
};

static int revoked_buffer(int iommufd)
{
	struct iommu_test_cmd get = {
		.size = sizeof(get),
		.op = IOMMU_TEST_OP_DMABUF_GET,
		.dmabuf_get = { .length = SIZE, .open_flags = O_RDWR },
	};
	struct iommu_test_cmd revoke = {
		.size = sizeof(revoke),
		.op = IOMMU_TEST_OP_DMABUF_REVOKE,
		.dmabuf_revoke = { .revoked = true },
	};
	int fd = ioctl(iommufd, IOMMU_TEST_CMD, &get);

	revoke.dmabuf_revoke.dmabuf_fd = fd;
	if (fd >= 0 && ioctl(iommufd, IOMMU_TEST_CMD, &revoke))
		return -1;
	return fd;
}

FIXTURE_SETUP(outcome)
{
	self->iommufd = open("/dev/iommu", O_RDWR);
	self->dmabuf = revoked_buffer(self->iommufd);
	if (self->dmabuf < 0)
		SKIP(return, "needs CONFIG_IOMMUFD_TEST");
}

FIXTURE_TEARDOWN(outcome)
{
	close(self->dmabuf);
	close(self->iommufd);
}

/* 0 or an errno */
static int import(int iommufd, int dmabuf)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_READABLE,
		.fd = dmabuf,
		.length = SIZE,
	};

	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &ioas))
		return errno;
	map.ioas_id = ioas.out_ioas_id;
	return ioctl(iommufd, IOMMU_IOAS_MAP_FILE, &map) ? errno : 0;
}

static int ask(int dmabuf, struct dma_buf_outcome *told)
{
	memset(told, 0xff, sizeof(*told));
	return ioctl(dmabuf, DMA_BUF_IOCTL_OUTCOME, told) ? errno : 0;
}

TEST_F(outcome, nothing_to_tell)
{
	EXPECT_EQ(ENODATA, ask(self->dmabuf, &self->told));
}

TEST_F(outcome, refused)
{
	EXPECT_EQ(ENODEV, import(self->iommufd, self->dmabuf));
	ASSERT_EQ(0, ask(self->dmabuf, &self->told));
	EXPECT_EQ(-ENODEV, self->told.error);
	EXPECT_EQ(0, self->told.reserved);
	EXPECT_STREQ("PAL", self->told.type);
	EXPECT_STREQ("revoked", self->told.why);
}

TEST_F(outcome, bad_address)
{
	EXPECT_EQ(ENODEV, import(self->iommufd, self->dmabuf));
	EXPECT_EQ(-1, ioctl(self->dmabuf, DMA_BUF_IOCTL_OUTCOME, (void *)-4096L));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, ask(self->dmabuf, &self->told));
}

/* Who was refused may drop its privileges before it asks */
TEST_F(outcome, without_privileges)
{
	EXPECT_EQ(ENODEV, import(self->iommufd, self->dmabuf));
	ASSERT_EQ(0, seteuid(65534));
	EXPECT_EQ(0, ask(self->dmabuf, &self->told));
	EXPECT_EQ(0, seteuid(0));
}

/* Another process learns nothing, and what it tries replaces the word */
TEST_F(outcome, another_process)
{
	int status;
	pid_t child;

	EXPECT_EQ(ENODEV, import(self->iommufd, self->dmabuf));
	child = fork();
	ASSERT_GE(child, 0);
	if (!child) {
		if (ask(self->dmabuf, &self->told) != ENODATA)
			_exit(1);
		if (import(self->iommufd, self->dmabuf) != ENODEV)
			_exit(2);
		_exit(ask(self->dmabuf, &self->told) ? 3 : 0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(ENODATA, ask(self->dmabuf, &self->told));
}

TEST_HARNESS_MAIN
