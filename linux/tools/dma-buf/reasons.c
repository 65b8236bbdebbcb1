// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reasons for a refusal in sentences: what is the matter, and what would
 * change it.
 */
#include <linux/kernel.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "why.h"

/*
 * What follows "cannot import buffer 1 of vfio_pci: ". In it, @ stands for the
 * device that has the memory, # for the PCI functions in the way, as the kernel's
 * command line wants them, and & for the same with their IDs, in brackets
 */
static const struct reason {
	const char *verdict;
	bool exporter;
	const char *cause;
	const char *change;
} reasons[] = {
	{
		.verdict = "importer-refuses-p2p",
		.cause =
			"the buffer is memory of @, and this importer does not accept peer-to-peer",
		.change =
			"use an importer that does (its driver sets allow_peer2peer), or copy the data to a buffer in RAM",
	},
	{
		.verdict = "acs-redirect",
		.cause =
			"the importer and @, which has the memory, are below one PCI bridge, but ACS redirection at # sends peer-to-peer up to a host bridge that is not known to forward it",
		.change =
			"boot with pci=disable_acs_redir=#, which gives up the isolation of the devices below, or copy the data to a buffer in RAM",
	},
	{
		.verdict = "host-bridge-not-whitelisted",
		.cause =
			"the host bridge between the importer and @, which has the memory, is not known to forward peer-to-peer&",
		.change =
			"put both below one PCIe switch, or use a machine whose host bridge or CPU is in pci_p2pdma's whitelist",
	},
	{
		.verdict = "no-common-upstream",
		.cause =
			"the importer and @, which has the memory, are below two host bridges that are not known to forward peer-to-peer to each other&",
		.change =
			"put both below one host bridge that is in pci_p2pdma's whitelist, or below one PCIe switch",
	},
	{
		.verdict = "no-p2pdma",
		.cause =
			"the buffer is memory of @, and this kernel is built without peer-to-peer",
		.change =
			"use a kernel with CONFIG_PCI_P2PDMA, or copy the data to a buffer in RAM",
	},
	{
		.verdict = "p2p-distance",
		.cause =
			"the buffer is memory of @, and this importer, being no PCI device, has no peer-to-peer path to it",
		.change =
			"use an importer that is a PCI device, or copy the data to a buffer in RAM",
	},
	{
		.verdict = "p2p-distance",
		.exporter = true,
		.cause =
			"pci_p2pdma knows no peer-to-peer path from the importer to the PCI device that has the memory",
		.change =
			"put both below one PCIe switch, or copy the data to a buffer in RAM",
	},
	{
		.verdict = "out-of-reach",
		.cause =
			"this importer's device does not reach all memory of the heap",
		.change =
			"allocate from the heap of the importer's device, or of one that reaches no further",
	},
	{
		.verdict = "memory-pool",
		.cause =
			"the buffer is in a memory pool that only the heap's device can use",
		.change = "allocate from another heap",
	},
	{
		.verdict = "bounce-buffer",
		.cause = "this importer's device only gets copies of memory",
		.change =
			"allocate from the heap of the importer's device, or boot without swiotlb=force",
	},
	{
		.verdict = "no-dma",
		.cause = "this importer's device does no DMA",
		.change = "import for the device that does, often its parent",
	},
	{
		.verdict = "unknown-memory",
		.cause =
			"the exporter does not say whose memory its addresses are, and without that nobody can map them for a device",
		.change = "use an importer that asks for PAL",
	},
	{
		.verdict = "encrypted",
		.cause =
			"this machine encrypts memory, and a physical address does not tell how the buffer has to be used",
		.change = "use an importer that asks for SGT",
	},
	{
		.verdict = "route-not-wanted",
		.cause =
			"this importer of DAL has no use for such memory, or for the route to it",
		.change =
			"put its device and the one that has the memory elsewhere in the PCI hierarchy, or use another importer",
	},
	{
		.verdict = "no-coherence",
		.cause =
			"the caches of this importer's device are not coherent, and nobody flushes them for memory that has only physical addresses",
		.change = "use a buffer of an exporter of scatterlists",
	},
	{
		.verdict = "no-vmap",
		.cause =
			"this importer copies with the CPU, for which the exporter does not map its buffers",
		.change =
			"use a buffer of an exporter that does, or that offers PAL",
	},
	{
		.verdict = "one-device",
		.exporter = true,
		.cause =
			"the importer maps for a second device, and the exporter maps for one",
		.change = "make an attachment for each device",
	},
	{
		.verdict = "one-mapping",
		.exporter = true,
		.cause =
			"the importer maps a second time, and the exporter maps once for each attachment",
		.change = "unmap first, or make a second attachment",
	},
	{
		.verdict = "no-addresses",
		.exporter = true,
		.cause =
			"the exporter gave out a scatterlist without DMA addresses for all of the slice",
		.change = "use another importer, or a buffer of another exporter",
	},
	{
		.verdict = "not-revocable",
		.exporter = true,
		.cause =
			"the exporter may have to take the memory back, and this importer cannot unmap when told to",
		.change =
			"use an importer that can (its driver has invalidate_mappings)",
	},
	{
		.verdict = "no-offer",
		.exporter = true,
		.cause = "the exporter has nothing to offer to this importer",
		.change =
			"use another importer, or a buffer of another exporter",
	},
	{
		.verdict = "revoked",
		.exporter = true,
		.cause = "the exporter has taken the memory back",
		.change =
			"try again when it is lent again, which for vfio-pci takes memory decode to be on and a reset to be over",
	},
};

/* Errors that only the kernel knows; some drivers let them out */
static const struct {
	int err;
	const char *name;
} kernel_errors[] = {
	{ 512, "ERESTARTSYS" },
	{ 515, "ENOIOCTLCMD" },
	{ 517, "EPROBE_DEFER" },
	{ 524, "ENOTSUPP" },
};

const char *errno_name(int err)
{
	static char text[80];
	const char *name = strerrorname_np(abs(err));
	size_t i;

	if (name)
		return name;
	snprintf(text, sizeof(text), "error %d", abs(err));
	for (i = 0; i < ARRAY_SIZE(kernel_errors); i++)
		if (kernel_errors[i].err == abs(err))
			snprintf(text, sizeof(text),
				 "%s (%d, which programs call 'Unknown error %d')",
				 kernel_errors[i].name, abs(err), abs(err));
	return text;
}

bool is_none(const char *text)
{
	return !text || !strcmp(text, "none");
}

static const struct reason *reason_of(const struct pair *pair)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		if (!strcmp(reasons[i].verdict, pair->verdict) &&
		    reasons[i].exporter == pair->exporter)
			return &reasons[i];
	return NULL;
}

/* A word that only a driver knows: quote it, and say whose it is */
static void tell_word(const struct pair *pair, FILE *out)
{
	if (pair->exporter)
		fprintf(out,
			"the exporter refuses with the word '%s' (%s); the driver that exports it says what would change that.",
			clean(pair->verdict), errno_name(pair->err));
	else if (!strcmp(pair->verdict, "error"))
		fprintf(out,
			"the mapping type %s ended the search with %s, and nothing else was tried; the kernel log may say more.",
			clean(pair->offer), errno_name(pair->err));
	else
		fprintf(out,
			"the mapping type %s refuses with the word '%s'; the driver that brings %s says what would change that.",
			clean(pair->offer), clean(pair->verdict),
			clean(pair->offer));
}

static void tell_functions(const struct function *at, bool ids, FILE *out)
{
	const char *between = ids ? " (" : "";

	if (!at && !ids)
		fprintf(out, "the bridges between them");
	for (; at; at = at->next) {
		fprintf(out, "%s%s", between, clean(at->name));
		if (ids)
			fprintf(out, ", %04x:%04x", at->vendor, at->device);
		if (ids && !at->next)
			putc(')', out);
		between = ids ? "; " : ";";
	}
}

static void tell_text(const char *text, const struct pair *pair, FILE *out)
{
	for (; *text; text++) {
		if (*text == '@')
			fprintf(out, "%s", is_none(pair->provider) ?
					   "a device" : clean(pair->provider));
		else if (*text == '#' || *text == '&')
			tell_functions(pair->functions, *text == '&', out);
		else
			putc(*text, out);
	}
}

void tell_pair(const struct pair *pair, FILE *out)
{
	const struct reason *reason = reason_of(pair);

	if (!reason) {
		tell_word(pair, out);
		return;
	}
	tell_text(reason->cause, pair, out);
	fprintf(out, "; ");
	tell_text(reason->change, pair, out);
	putc('.', out);
}

/* ---- types that do not meet ---- */

static bool is_listed(const struct pair *pair, const struct pair *end,
		      const char *offer, const char *request)
{
	for (; pair != end; pair = pair->next)
		if ((offer && !strcmp(pair->offer, offer)) ||
		    (request && !strcmp(pair->request, request)))
			return true;
	return false;
}

static void tell_types(const struct pair *pairs, bool offers, FILE *out)
{
	const struct pair *pair;
	const char *between = "";

	for (pair = pairs; pair; pair = pair->next) {
		if (is_listed(pairs, pair, offers ? pair->offer : NULL,
			      offers ? NULL : pair->request))
			continue;
		fprintf(out, "%s%s", between,
			clean(offers ? pair->offer : pair->request));
		if (offers && !is_none(pair->converter))
			fprintf(out, " (%s)", clean(pair->converter));
		between = " and ";
	}
}

/* Only few may get physical addresses: an exporter cannot do without PAL */
static bool want_only_pal(const struct pair *pair)
{
	for (; pair; pair = pair->next)
		if (strcmp(pair->request, "PAL"))
			return false;
	return true;
}

void tell_no_common_type(const struct pair *pairs, FILE *out)
{
	fprintf(out, "the exporter offers ");
	tell_types(pairs, true, out);
	fprintf(out, ", the importer asks for ");
	tell_types(pairs, false, out);
	fprintf(out, ", and they do not meet; %s.",
		want_only_pal(pairs) ?
			"use a buffer whose exporter offers PAL, as vfio-pci does" :
			"one of the two drivers has to know a type of the other as well");
}

/* ---- what the kernel gives no reason for ---- */

void tell_nothing_said(int err, FILE *out)
{
	fprintf(out,
		"nothing says why, the error is %s; the kernel log may say more.",
		errno_name(err));
}

void tell_failed_map(int err, FILE *out)
{
	if (abs(err) != ENOMEM && abs(err) != EIO) {
		tell_nothing_said(err, out);
		return;
	}
	fprintf(out,
		"nothing says why, the error is %s; the DMA API fails like this if there is no room in the IOMMU's address space or in the bounce buffer (swiotlb), or if the device cannot address the memory.",
		errno_name(err));
}

void tell_failed(const char *what, int err, FILE *out)
{
	if (!strcmp(what, "vmap") && abs(err) == EINVAL)
		fprintf(out,
			"its exporter cannot give it to the CPU; use a buffer in RAM, or an importer that does not need the CPU.");
	else
		tell_nothing_said(err, out);
}

/* What an importer of this type may have found after the kernel let it in */
void tell_own_reason(const char *type, unsigned long long ranges, int err,
		     FILE *out)
{
	bool pages = type && (!strcmp(type, "PAL") || !strcmp(type, "DOMAIN"));

	if (type && !strcmp(type, "SGT") && ranges > 1)
		fprintf(out,
			"an importer that needs contiguous memory fails like this: use a buffer of a CMA heap or of the importer itself, or an IOMMU that maps the pieces as one.");
	else if (pages && (abs(err) == EEXIST || abs(err) == EADDRINUSE))
		fprintf(out, "the IOVA is in use.");
	else if (pages && (abs(err) == EINVAL || abs(err) == ERANGE))
		fprintf(out,
			"the IOVA may be reserved (see reserved_regions of the device's IOMMU group) or beyond what the IOMMU can map, or the range outside the buffer.");
	else
		fprintf(out, "the kernel log may say more.");
}
