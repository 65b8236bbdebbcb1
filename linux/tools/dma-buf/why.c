// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the trace events of an import to the sentences that say why it failed.
 *
 * An attach consists of a number of dma_buf_match, one for each pair of offer
 * and request that the core tried, perhaps a dma_buf_refuse of the exporter,
 * and a dma_buf_mapping_attach, all by one thread. Pairs that do not fit are
 * normal while another one does, so say nothing before the end is known. A
 * dma_buf_refuse outside an attach is about a map, and final.
 *
 * Different types are the weakest reason: each attach through a converter
 * begins with it. Tell it only if there is no other.
 */
#include <linux/kernel.h>
#include <stdlib.h>
#include <string.h>

#include "lsdmabuf.h"

#define NO_COMMON_TYPE "no-common-type"

struct pair {
	struct pair *next;
	/* Said by the exporter, not by a type */
	bool exporter;
	/* The device that has the memory */
	char *provider;
	char *importer;
	char *offer;
	char *request;
	char *converter;
	char *verdict;
	int err;
};

/* What a thread is doing; a thread does one thing at a time */
struct attempt {
	struct attempt *next;
	int pid;
	unsigned long long ino;
	/* The attachment for which a sentence has explained the failed map */
	unsigned long long told;
	bool attaching;
	struct pair *pairs;
	struct pair **end;
};

static struct attempt *attempts;
static unsigned int sentences;
static bool lost;

/* The sentence in the making, and the one before it, not printed yet */
static struct {
	char *text;
	size_t len;
	char *last;
	unsigned int count;
} sentence;

/*
 * What follows "cannot import buffer 1 of vfio_pci: ", with @ for the device that
 * has the memory
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
		.verdict = "host-bridge-not-whitelisted",
		.cause =
			"the host bridge between the importer and @, which has the memory, is not known to forward peer-to-peer",
		.change =
			"put both below one PCIe switch, or use a machine whose host bridge or CPU is in pci_p2pdma's whitelist",
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

unsigned int why_sentences(void)
{
	return sentences;
}

void why_lost(void)
{
	lost = true;
}

/* ---- what a thread is doing ---- */

static struct attempt *attempt_of(int pid)
{
	struct attempt *attempt;

	for (attempt = attempts; attempt; attempt = attempt->next)
		if (attempt->pid == pid)
			return attempt;
	attempt = zalloc(sizeof(*attempt));
	attempt->pid = pid;
	attempt->end = &attempt->pairs;
	attempt->next = attempts;
	attempts = attempt;
	return attempt;
}

static void pair_free(struct pair *pair)
{
	free(pair->provider);
	free(pair->importer);
	free(pair->offer);
	free(pair->request);
	free(pair->converter);
	free(pair->verdict);
	free(pair);
}

static void attempt_reset(struct attempt *attempt)
{
	struct pair *pair = attempt->pairs, *next;

	for (; pair; pair = next) {
		next = pair->next;
		pair_free(pair);
	}
	attempt->pairs = NULL;
	attempt->end = &attempt->pairs;
	attempt->attaching = false;
}

static void attempt_add(struct attempt *attempt, const struct event *event,
			bool exporter)
{
	struct pair *pair = zalloc(sizeof(*pair));

	pair->exporter = exporter;
	pair->provider = copy(event->provider);
	pair->importer = copy(event->importer);
	pair->offer = copy(event->offer);
	pair->request = copy(event->request);
	pair->converter = copy(event->converter);
	pair->verdict = copy(event->verdict);
	pair->err = event->err;
	*attempt->end = pair;
	attempt->end = &pair->next;
}

/* ---- sentences ---- */

static const char *errno_name(int err)
{
	static char number[32];
	const char *name = strerrorname_np(abs(err));

	if (name)
		return name;
	snprintf(number, sizeof(number), "error %d", abs(err));
	return number;
}

static bool is_none(const char *text)
{
	return !strcmp(text, "none");
}

/* A request names a device; only an attachment knows more */
static const char *importer_of(const struct event *event,
			       const struct attempt *attempt)
{
	const struct pair *pair = attempt->pairs;

	for (; pair; pair = pair->next)
		if (!is_none(pair->importer))
			return pair->importer;
	return is_none(event->importer) ? "an importer without a device" :
					  event->importer;
}

static FILE *begin(const struct event *event, const struct attempt *attempt,
		   const char *what)
{
	FILE *out = open_memstream(&sentence.text, &sentence.len);

	if (!out)
		die("out of memory");
	fprintf(out, "%s (%s[%d]) cannot %s buffer %llu of %s: ",
		importer_of(event, attempt), event->comm, event->pid, what,
		event->ino, event->exporter);
	sentences++;
	return out;
}

void why_flush(FILE *out)
{
	if (!sentence.last)
		return;
	fputs(sentence.last, out);
	if (sentence.count > 1)
		fprintf(out, " (%u times)", sentence.count);
	putc('\n', out);
	free(sentence.last);
	sentence.last = NULL;
}

/* A program that tries again and again gets a single sentence */
static void finish(FILE *file, FILE *out)
{
	if (fclose(file))
		die("out of memory");
	if (sentence.last && !strcmp(sentence.last, sentence.text)) {
		free(sentence.text);
	} else {
		why_flush(out);
		sentence.last = sentence.text;
		sentence.count = 0;
	}
	sentence.count++;
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
			pair->verdict, errno_name(pair->err));
	else if (!strcmp(pair->verdict, "error"))
		fprintf(out,
			"the mapping type %s ended the search with %s, and nothing else was tried; the kernel log may say more.",
			pair->offer, errno_name(pair->err));
	else
		fprintf(out,
			"the mapping type %s refuses with the word '%s'; the driver that brings %s says what would change that.",
			pair->offer, pair->verdict, pair->offer);
}

static void tell_reason(const struct reason *reason, const char *provider,
			FILE *out)
{
	const char *at = strchrnul(reason->cause, '@');

	fprintf(out, "%.*s", (int)(at - reason->cause), reason->cause);
	if (*at)
		fprintf(out, "%s%s", is_none(provider) ? "a device" : provider,
			at + 1);
	fprintf(out, "; %s.", reason->change);
}

static void tell_pair(const struct pair *pair, FILE *out)
{
	const struct reason *reason = reason_of(pair);

	if (reason)
		tell_reason(reason, pair->provider, out);
	else
		tell_word(pair, out);
}

/* Was there one with the same names before? Converters try a pair again */
static bool is_repeated(const struct attempt *attempt, const struct pair *pair)
{
	const struct pair *at;

	for (at = attempt->pairs; at != pair; at = at->next)
		if (at->exporter == pair->exporter &&
		    !strcmp(at->verdict, pair->verdict) &&
		    !strcmp(at->offer, pair->offer) &&
		    !strcmp(at->request, pair->request))
			return true;
	return false;
}

static bool is_specific(const struct pair *pair)
{
	return strcmp(pair->verdict, NO_COMMON_TYPE) &&
	       strcmp(pair->verdict, "match");
}

static bool is_listed(const struct pair *pair, const struct pair *end,
		      const char *offer, const char *request)
{
	for (; pair != end; pair = pair->next)
		if ((offer && !strcmp(pair->offer, offer)) ||
		    (request && !strcmp(pair->request, request)))
			return true;
	return false;
}

static void tell_types(const struct attempt *attempt, bool offers, FILE *out)
{
	const struct pair *pair;
	const char *between = "";

	for (pair = attempt->pairs; pair; pair = pair->next) {
		if (is_listed(attempt->pairs, pair, offers ? pair->offer : NULL,
			      offers ? NULL : pair->request))
			continue;
		fprintf(out, "%s%s", between,
			offers ? pair->offer : pair->request);
		if (offers && !is_none(pair->converter))
			fprintf(out, " (%s)", pair->converter);
		between = " and ";
	}
}

/* Only few may get physical addresses: an exporter cannot do without PAL */
static bool wants_only_pal(const struct attempt *attempt)
{
	const struct pair *pair;

	for (pair = attempt->pairs; pair; pair = pair->next)
		if (strcmp(pair->request, "PAL"))
			return false;
	return true;
}

static void tell_no_common_type(const struct attempt *attempt, FILE *out)
{
	fprintf(out, "the exporter offers ");
	tell_types(attempt, true, out);
	fprintf(out, ", the importer asks for ");
	tell_types(attempt, false, out);
	fprintf(out, ", and they do not meet; %s.",
		wants_only_pal(attempt) ?
			"use a buffer whose exporter offers PAL, as vfio-pci does" :
			"one of the two drivers has to know a type of the other as well");
}

static void tell_nothing_said(const struct event *event, FILE *out)
{
	fprintf(out,
		"nothing says why, the error is %s; the kernel log may say more.",
		errno_name(event->err));
}

/* ---- events ---- */

static bool is_matched(const struct attempt *attempt)
{
	const struct pair *pair;

	for (pair = attempt->pairs; pair; pair = pair->next)
		if (!strcmp(pair->verdict, "match"))
			return true;
	return false;
}

static void tell_attach(const struct event *event,
			const struct attempt *attempt, FILE *out)
{
	const unsigned int before = sentences;
	bool matched = is_matched(attempt);
	const struct pair *pair;
	FILE *file;

	for (pair = attempt->pairs; pair; pair = pair->next) {
		/* After a match, only the exporter can have ended it */
		if (!is_specific(pair) || is_repeated(attempt, pair) ||
		    (matched && !pair->exporter))
			continue;
		file = begin(event, attempt, "import");
		tell_pair(pair, file);
		finish(file, out);
	}
	/* Without a pair, what was lost has said why */
	if (sentences != before || (lost && !attempt->pairs))
		return;
	file = begin(event, attempt, "import");
	if (attempt->pairs && !matched)
		tell_no_common_type(attempt, file);
	else
		tell_nothing_said(event, file);
	finish(file, out);
}

static void list_pairs(const struct event *event, const struct attempt *attempt,
		       FILE *out)
{
	const struct pair *pair;

	why_flush(out);
	for (pair = attempt->pairs; pair; pair = pair->next)
		fprintf(out,
			"  %s[%d] buffer %llu of %s: offer %s%s%s, request %s of %s: %s\n",
			event->comm, event->pid, event->ino, event->exporter,
			pair->offer, is_none(pair->converter) ? "" : " by ",
			is_none(pair->converter) ? "" : pair->converter,
			pair->request, pair->importer, pair->verdict);
}

static void on_match(struct attempt *attempt, const struct event *event)
{
	/* The end of the last attach was lost if there are pairs of another */
	if (!attempt->attaching || attempt->ino != event->ino)
		attempt_reset(attempt);
	attempt->attaching = true;
	attempt->ino = event->ino;
	attempt_add(attempt, event, false);
}

static void on_attach(struct attempt *attempt, const struct event *event,
		      FILE *out, bool verbose)
{
	if (attempt->ino != event->ino)
		attempt_reset(attempt);
	if (event->err)
		tell_attach(event, attempt, out);
	if (verbose)
		list_pairs(event, attempt, out);
	attempt_reset(attempt);
}

static void on_refuse(struct attempt *attempt, const struct event *event,
		      FILE *out)
{
	FILE *file;

	if (attempt->attaching && attempt->ino == event->ino) {
		attempt_add(attempt, event, true);
		return;
	}
	attempt_reset(attempt);
	attempt_add(attempt, event, true);
	file = begin(event, attempt, "map");
	tell_pair(attempt->pairs, file);
	finish(file, out);
	attempt_reset(attempt);
	attempt->told = event->attach;
}

/* The exporter's refusal came just before, if it said anything */
static void on_map(struct attempt *attempt, const struct event *event,
		   FILE *out)
{
	FILE *file;

	if (event->err && attempt->told != event->attach) {
		file = begin(event, attempt, "map");
		tell_nothing_said(event, file);
		finish(file, out);
	}
	attempt->told = 0;
}

void why_event(const struct event *event, FILE *out, bool verbose)
{
	struct attempt *attempt = attempt_of(event->pid);

	if (!strcmp(event->name, "dma_buf_match"))
		on_match(attempt, event);
	else if (!strcmp(event->name, "dma_buf_mapping_attach"))
		on_attach(attempt, event, out, verbose);
	else if (!strcmp(event->name, "dma_buf_refuse"))
		on_refuse(attempt, event, out);
	else if (!strcmp(event->name, "dma_buf_map"))
		on_map(attempt, event, out);
}
