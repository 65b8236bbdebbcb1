// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is in the way of P2P, in a small PCI hierarchy: two host bridges; below the
 * first a root port, a switch with two ports, and a device below each of these.
 */
#include <stdarg.h>

#include "test.h"

static struct pci_bus first_bus, second_bus;
static struct pci_host_bridge first = { &first_bus }, second = { &second_bus };
static struct pci_bus first_bus = { 0, 0, &first }, second_bus = { 1, 0, &second };

static struct pci_dev *second_root;
static struct pci_dev root, root_port, up, down0, down1, gpu, nic, alone, far;

static void put(struct pci_dev *pdev, const char *name, struct pci_dev *above,
		struct pci_bus *bus)
{
	*pdev = (struct pci_dev){ .dev = { .name = name, .is_pci = true },
				  .bus = bus, .above = above };
}

/* Every bridge has ACS, and redirects nothing */
static void hierarchy(void)
{
	struct pci_dev *bridges[] = { &root_port, &up, &down0, &down1 };
	size_t i;

	put(&root, "root", NULL, &first_bus);
	put(&root_port, "root-port", NULL, &first_bus);
	put(&up, "up", &root_port, &first_bus);
	put(&down0, "down0", &up, &first_bus);
	put(&down1, "down1", &up, &first_bus);
	put(&gpu, "gpu", &down0, &first_bus);
	put(&nic, "nic", &down1, &first_bus);
	put(&alone, "alone", NULL, &first_bus);
	put(&far, "far", NULL, &second_bus);
	for (i = 0; i < ARRAY_SIZE(bridges); i++) {
		bridges[i]->acs_cap = 0x100;
		bridges[i]->acs_ctrl = PCI_ACS_SV;
	}
	second_root = NULL;
	shim.traced = true;
}

struct pci_dev *pci_get_domain_bus_and_slot(int domain, unsigned int bus,
					    unsigned int devfn)
{
	struct pci_dev *pdev = domain ? second_root : &root;

	CHECK(!bus && !devfn);
	return pdev ? pci_dev_get(pdev) : NULL;
}

int pci_read_config_word(const struct pci_dev *pdev, int where, u16 *value)
{
	CHECK(pdev->acs_cap && where == pdev->acs_cap + PCI_ACS_CTRL);
	*value = pdev->acs_ctrl;
	return 0;
}

/* The word, and which functions are named, in this order, up to a NULL */
static void is_blocked(struct pci_dev *client, const char *word, ...)
{
	const char *name;
	va_list names;
	size_t i = 0;

	shim.nr_events = 0;
	EQ(strcmp(dma_buf_p2p_obstacle(&gpu, client, true), word), 0);
	va_start(names, word);
	while ((name = va_arg(names, const char *)))
		CHECK(i < shim.nr_events &&
		      !strcmp(shim.events[i++].verdict, name));
	va_end(names);
	EQ(i, shim.nr_events);
	EQ(root.refs + far.refs, 0);
}

static void test_acs_redirect(void)
{
	hierarchy();
	down1.acs_ctrl |= PCI_ACS_CR;
	is_blocked(&nic, "acs-redirect", "down1", NULL);
	down0.acs_ctrl |= PCI_ACS_RR;
	is_blocked(&nic, "acs-redirect", "down0", "down1", NULL);
	up.acs_ctrl |= PCI_ACS_EC;
	is_blocked(&nic, "acs-redirect", "down0", "up", "down1", NULL);
	/* Above the common bridge nothing matters */
	root_port.acs_ctrl |= PCI_ACS_RR;
	is_blocked(&nic, "acs-redirect", "down0", "up", "down1", NULL);
	/* ... also where the importer is that bridge */
	is_blocked(&up, "acs-redirect", "down0", "up", NULL);
}

/* A function that does not answer does not redirect */
static void test_acs_gone(void)
{
	hierarchy();
	down0.acs_ctrl = 0xffff;
	down1.acs_cap = 0;
	down1.acs_ctrl |= PCI_ACS_CR;
	is_blocked(&nic, "acs-redirect", NULL);
}

static void test_host_bridges(void)
{
	hierarchy();
	down0.acs_ctrl |= PCI_ACS_RR;
	is_blocked(&alone, "host-bridge-not-whitelisted", "root", NULL);
	is_blocked(&far, "no-common-upstream", "root", NULL);
	second_root = &far;
	is_blocked(&far, "no-common-upstream", "root", "far", NULL);
}

/* Queries leave no trace, and what nobody listens to is not looked for */
static void test_untraced(void)
{
	hierarchy();
	shim.nr_events = 0;
	down1.acs_ctrl |= PCI_ACS_CR;
	EQ(strcmp(dma_buf_p2p_obstacle(&gpu, &nic, false), "acs-redirect"), 0);
	shim.traced = false;
	EQ(strcmp(dma_buf_p2p_obstacle(&gpu, &alone, true),
		  "host-bridge-not-whitelisted"), 0);
	EQ(shim.nr_events, 0);
}

const struct test p2p_tests[] = {
	{ "p2p: ACS redirection has its functions", test_acs_redirect },
	{ "p2p: a bridge that is gone redirects nothing", test_acs_gone },
	{ "p2p: host bridges, one and two", test_host_bridges },
	{ "p2p: nothing is named that nobody asked for", test_untraced },
	{}
};
