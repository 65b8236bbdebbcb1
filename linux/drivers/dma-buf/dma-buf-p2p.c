// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf mapping type SGT: what is in the way of P2P between two PCI devices.
 *
 * pci_p2pdma_distance() decides whether there is a way, but not for people: its
 * answer is a number, and its reasons are lines of the kernel log. This file
 * never decides. Once there is no way, it looks at the same PCI functions again
 * and gives the reason a name.
 */
#include <linux/pci.h>

#include "dma-buf-converter.h"

#include <trace/events/dma_buf_mapping.h>

/* Does ACS send what passes this bridge up to the host bridge? */
static bool dma_buf_p2p_redirects(struct pci_dev *pdev)
{
	u16 ctrl = 0;

	if (!pdev->acs_cap)
		return false;
	pci_read_config_word(pdev, pdev->acs_cap + PCI_ACS_CTRL, &ctrl);
	return !PCI_POSSIBLE_ERROR(ctrl) &&
	       (ctrl & (PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_EC));
}

/* The lowest function that is above both devices, or one of them */
static struct pci_dev *dma_buf_p2p_common(struct pci_dev *a, struct pci_dev *b)
{
	struct pci_dev *at;

	for (; a; a = pci_upstream_bridge(a))
		for (at = b; at; at = pci_upstream_bridge(at))
			if (at == a)
				return a;
	return NULL;
}

static void dma_buf_p2p_name_redirects(struct pci_dev *provider,
				       struct pci_dev *client,
				       struct pci_dev *from,
				       const struct pci_dev *end)
{
	for (; from != end; from = pci_upstream_bridge(from))
		if (dma_buf_p2p_redirects(from))
			trace_dma_buf_p2p_obstacle(provider, client, from);
}

/* The function by which p2pdma knows a host bridge; many have none */
static void dma_buf_p2p_name_root(struct pci_dev *provider,
				  struct pci_dev *client,
				  const struct pci_host_bridge *host)
{
	struct pci_dev *root =
		pci_get_domain_bus_and_slot(pci_domain_nr(host->bus),
					    host->bus->number, 0);

	if (root)
		trace_dma_buf_p2p_obstacle(provider, client, root);
	pci_dev_put(root);
}

/*
 * Why @client has no way to the MMIO of @provider, as a word. With @name, each
 * PCI function in the way goes to the trace event dma_buf_p2p_obstacle.
 */
const char *dma_buf_p2p_obstacle(struct pci_dev *provider,
				 struct pci_dev *client, bool name)
{
	struct pci_host_bridge *there = pci_find_host_bridge(provider->bus);
	struct pci_host_bridge *here = pci_find_host_bridge(client->bus);
	struct pci_dev *common = dma_buf_p2p_common(provider, client);

	name = name && trace_dma_buf_p2p_obstacle_enabled();
	if (name && common) {
		/* p2pdma looks at the common bridge once, on the provider's side */
		dma_buf_p2p_name_redirects(provider, client, provider,
					   pci_upstream_bridge(common));
		dma_buf_p2p_name_redirects(provider, client, client, common);
	} else if (name) {
		dma_buf_p2p_name_root(provider, client, there);
		if (here != there)
			dma_buf_p2p_name_root(provider, client, here);
	}

	if (common)
		return "acs-redirect";
	return here == there ? "host-bridge-not-whitelisted" :
			       "no-common-upstream";
}
