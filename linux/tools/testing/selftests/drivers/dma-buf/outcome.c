// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA_BUF_IOCTL_OUTCOME: why was my import refused?
 *
 * The buffer is a udmabuf, which does not offer physical addresses; iommufd is
 * the importer that wants them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/iommufd.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../kselftest_harness.h"

#define SIZE	0x10000

FIXTURE(outcome)
{
	int dmabuf;
	int iommufd;
	struct dma_buf_outcome told;
};

static int new_udmabuf(void)
{
	struct udmabuf_create create = { .size = SIZE };
	int maker = open("/dev/udmabuf", O_RDWR);
	int memfd = memfd_create("outcome", MFD_ALLOW_SEALING);
	int fd;

	if (maker < 0 || memfd < 0 || ftruncate(memfd, SIZE) ||
	    fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK))
		return -1;
	create.memfd = memfd;
	fd = ioctl(maker, UDMABUF_CREATE, &create);
	close(memfd);
	close(maker);
	return fd;
}

FIXTURE_SETUP(outcome)
{
	self->dmabuf = new_udmabuf();
	self->iommufd = open("/dev/iommu", O_RDWR);
	if (self->dmabuf < 0 || self->iommufd < 0)
		SKIP(return, "needs /dev/udmabuf and /dev/iommu");
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
	EXPECT_EQ(EOPNOTSUPP, import(self->iommufd, self->dmabuf));
	ASSERT_EQ(0, ask(self->dmabuf, &self->told));
	EXPECT_EQ(-EOPNOTSUPP, self->told.error);
	EXPECT_EQ(0, self->told.reserved);
	EXPECT_STREQ("PAL", self->told.type);
	EXPECT_STREQ("no-common-type", self->told.why);
}

TEST_F(outcome, bad_address)
{
	EXPECT_EQ(EOPNOTSUPP, import(self->iommufd, self->dmabuf));
	EXPECT_EQ(-1, ioctl(self->dmabuf, DMA_BUF_IOCTL_OUTCOME, (void *)-4096L));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, ask(self->dmabuf, &self->told));
}

/* Who was refused may drop its privileges before it asks */
TEST_F(outcome, without_privileges)
{
	EXPECT_EQ(EOPNOTSUPP, import(self->iommufd, self->dmabuf));
	ASSERT_EQ(0, seteuid(65534));
	EXPECT_EQ(0, ask(self->dmabuf, &self->told));
	EXPECT_EQ(0, seteuid(0));
}

/* Another process learns nothing, and what it tries replaces the word */
TEST_F(outcome, another_process)
{
	int status;
	pid_t child;

	EXPECT_EQ(EOPNOTSUPP, import(self->iommufd, self->dmabuf));
	child = fork();
	ASSERT_GE(child, 0);
	if (!child) {
		if (ask(self->dmabuf, &self->told) != ENODATA)
			_exit(1);
		if (import(self->iommufd, self->dmabuf) != EOPNOTSUPP)
			_exit(2);
		_exit(ask(self->dmabuf, &self->told) ? 3 : 0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(ENODATA, ask(self->dmabuf, &self->told));
}

TEST_HARNESS_MAIN
