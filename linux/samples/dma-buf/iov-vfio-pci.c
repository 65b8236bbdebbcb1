// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-pci for the VFs of a PF that knows the mapping type IOV: their BARs are
 * offered to the PF as IOV, and to everybody else as vfio-pci does.
 *
 * There is no table of devices: bind a VF with driver_override.
 */
#include <linux/dma-buf-pal.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vfio_pci_core.h>

#include "iov.h"

MODULE_IMPORT_NS("DMA_BUF");

static const struct iov_exp_ops iov_vfio_exp_ops = {
	.map = vfio_pci_core_dmabuf_map,
	.unmap = vfio_pci_core_dmabuf_unmap,
};

/* The VF is bound, so its PF is there, and knows the number of the VF */
static int iov_vfio_get_offer(struct vfio_pci_core_device *vdev,
			      unsigned int region_index,
			      const struct vfio_region_dma_range *dma_ranges,
			      size_t nr_ranges,
			      struct dma_buf_mapping_match *offer)
{
	struct iov_list *list;
	size_t i;

	/* User space chooses how many there are */
	list = kvzalloc_flex(*list, ranges, nr_ranges);
	if (!list)
		return -ENOMEM;

	list->count = nr_ranges;
	list->pf = pci_dev_get(pci_physfn(vdev->pdev));
	list->vf = pci_iov_vf_id(vdev->pdev);
	list->bar = region_index;
	for (i = 0; i < nr_ranges; i++) {
		list->ranges[i].offset = dma_ranges[i].offset;
		list->ranges[i].len = dma_ranges[i].length;
	}
	/* The source of the buffer has a reference to the VF */
	*offer = iov_offer(&iov_vfio_exp_ops, vdev->pdev, list);
	return 0;
}

static void iov_vfio_put_offer(const struct dma_buf_mapping_match *offer)
{
	const struct iov_list *list = iov_data(offer)->list;

	pci_dev_put(list->pf);
	kvfree(list);
}

static const struct vfio_pci_device_ops iov_vfio_pci_ops = {
	.get_dmabuf_phys = vfio_pci_core_get_dmabuf_phys,
	.get_dmabuf_offer = iov_vfio_get_offer,
	.put_dmabuf_offer = iov_vfio_put_offer,
};

static int iov_vfio_open_device(struct vfio_device *core_vdev)
{
	struct vfio_pci_core_device *vdev =
		container_of(core_vdev, struct vfio_pci_core_device, vdev);
	int ret;

	ret = vfio_pci_core_enable(vdev);
	if (ret)
		return ret;
	vfio_pci_core_finish_enable(vdev);
	return 0;
}

static const struct vfio_device_ops iov_vfio_ops = {
	.name = "iov-vfio-pci",
	.init = vfio_pci_core_init_dev,
	.release = vfio_pci_core_release_dev,
	.open_device = iov_vfio_open_device,
	.close_device = vfio_pci_core_close_device,
	.ioctl = vfio_pci_core_ioctl,
	.get_region_info_caps = vfio_pci_ioctl_get_region_info,
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = vfio_pci_core_read,
	.write = vfio_pci_core_write,
	.mmap = vfio_pci_core_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
	.match_token_uuid = vfio_pci_core_match_token_uuid,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
};

static int iov_vfio_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct vfio_pci_core_device *vdev;
	int ret;

	if (!pdev->is_virtfn)
		return -ENODEV;
	vdev = vfio_alloc_device(vfio_pci_core_device, vdev, &pdev->dev,
				 &iov_vfio_ops);
	if (IS_ERR(vdev))
		return PTR_ERR(vdev);

	dev_set_drvdata(&pdev->dev, vdev);
	vdev->pci_ops = &iov_vfio_pci_ops;
	ret = vfio_pci_core_register_device(vdev);
	if (ret)
		vfio_put_device(&vdev->vdev);
	return ret;
}

static void iov_vfio_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *vdev = dev_get_drvdata(&pdev->dev);

	vfio_pci_core_unregister_device(vdev);
	vfio_put_device(&vdev->vdev);
}

static struct pci_driver iov_vfio_driver = {
	.name = "iov-vfio-pci",
	.probe = iov_vfio_probe,
	.remove = iov_vfio_remove,
	.err_handler = &vfio_pci_core_err_handlers,
	.driver_managed_dma = true,
};
module_pci_driver(iov_vfio_driver);

MODULE_DESCRIPTION("vfio-pci for VFs that offer the DMA-buf mapping type IOV");
MODULE_LICENSE("GPL");
