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
 *
 * An importer may fail although everybody let it in, or before it asks anybody.
 * No event says that. It shows in the system call: that fails, and in it the
 * buffer was attached and detached again, or looked up and never attached.
 */
#include <stdlib.h>
#include <string.h>

#include "why.h"

#define NO_COMMON_TYPE "no-common-type"

/* Where nothing tells of the system call: what is detached so soon may have failed */
#define SOON_NS (100 * 1000 * 1000ULL)

/* An attachment that this thread has made, and what became of it */
struct sight {
	struct sight *next;
	unsigned long long attach;
	unsigned long long ino;
	unsigned long long time;
	unsigned long call;
	char *importer;
	char *type;
	bool mapped;
	unsigned long long ranges;
	/* A sentence has explained why it is of no use */
	bool told;
};

/* What a thread is doing; a thread does one thing at a time */
struct attempt {
	struct attempt *next;
	int pid;
	char *comm;
	unsigned long long ino;
	/* The attachment for which a sentence has explained the failed map */
	unsigned long long told;
	bool attaching;
	struct pair *pairs;
	struct pair **end;
	/* For the next pair */
	struct function *functions;
	struct sight *sights;
	/* A buffer that was looked up in a system call that fails, 0 if none */
	unsigned long looked_up;
	unsigned long long looked_up_ino;
	char *looked_up_exporter;
	int looked_up_err;
};

static const struct why_options *options;
static struct attempt *attempts;
static bool lost;

static struct {
	unsigned int looked_up;
	unsigned int attached;
	unsigned int mapped;
	unsigned int detached_soon;
} seen;

/* ---- what a thread is doing ---- */

static struct attempt *attempt_of(const struct event *event)
{
	struct attempt *attempt;

	for (attempt = attempts; attempt; attempt = attempt->next)
		if (attempt->pid == event->pid)
			return attempt;
	attempt = zalloc(sizeof(*attempt));
	attempt->pid = event->pid;
	attempt->comm = copy(event->comm);
	attempt->end = &attempt->pairs;
	attempt->next = attempts;
	attempts = attempt;
	return attempt;
}

static void functions_free(struct function *at)
{
	struct function *next;

	for (; at; at = next) {
		next = at->next;
		free(at->name);
		free(at);
	}
}

static void pair_free(struct pair *pair)
{
	free(pair->provider);
	free(pair->importer);
	free(pair->offer);
	free(pair->request);
	free(pair->converter);
	free(pair->verdict);
	functions_free(pair->functions);
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
	pair->functions = attempt->functions;
	attempt->functions = NULL;
	*attempt->end = pair;
	attempt->end = &pair->next;
}

/* In the order of the events */
static void add_function(struct attempt *attempt, const struct event *event)
{
	struct function *function = zalloc(sizeof(*function));
	struct function **end = &attempt->functions;

	function->name = copy(event->function);
	function->vendor = event->vendor;
	function->device = event->device;
	while (*end)
		end = &(*end)->next;
	*end = function;
}

/* ---- attachments ---- */

static struct sight **find_sight(struct attempt *attempt,
				 const struct event *event)
{
	struct sight **at = &attempt->sights;

	while (*at && (*at)->attach != event->attach)
		at = &(*at)->next;
	return at;
}

static void sight_free(struct sight *sight)
{
	free(sight->importer);
	free(sight->type);
	free(sight);
}

/* The kernel uses the address of an attachment again */
static void sight_end(struct sight **at)
{
	struct sight *sight = *at;

	if (!sight)
		return;
	*at = sight->next;
	sight_free(sight);
}

static void sight_new(struct attempt *attempt, const struct event *event,
		      const char *type)
{
	struct sight *sight = zalloc(sizeof(*sight));

	sight_end(find_sight(attempt, event));
	sight->attach = event->attach;
	sight->ino = event->ino;
	sight->time = event->time;
	sight->call = event->call;
	sight->importer = copy(event->importer);
	sight->type = type ? copy(type) : NULL;
	sight->next = attempt->sights;
	attempt->sights = sight;
	seen.attached++;
}

static void sights_told(struct attempt *attempt, const struct event *event)
{
	struct sight *sight = attempt->sights;

	for (; sight; sight = sight->next)
		if (sight->ino == event->ino)
			sight->told = true;
}

/* ---- sentences ---- */

/* A request names a device; only an attachment knows more */
static const char *importer_of(const struct event *event,
			       const struct attempt *attempt)
{
	const struct pair *pair = attempt->pairs;

	for (; pair; pair = pair->next)
		if (is_named(pair->importer))
			return pair->importer;
	return event->importer;
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

static bool is_match(const struct pair *pair)
{
	return !pair->exporter && !strcmp(pair->verdict, "match");
}

static bool is_specific(const struct pair *pair)
{
	return strcmp(pair->verdict, NO_COMMON_TYPE) && !is_match(pair);
}

static const struct pair *matched(const struct attempt *attempt)
{
	const struct pair *pair = attempt->pairs;

	while (pair && !is_match(pair))
		pair = pair->next;
	return pair;
}

/* ---- attach ---- */

static void tell_refused(const struct event *event,
			 const struct attempt *attempt, const struct pair *pair,
			 const char *verb)
{
	struct finding finding;

	finding_begin(&finding, "refused", event, importer_of(event, attempt));
	finding.word = pair->verdict;
	finding.err = pair->err;
	finding_buffer(&finding, verb);
	fprintf(finding.file, ": ");
	tell_pair(pair, finding.file);
	finding_finish(&finding);
}

static void tell_unexplained(const struct event *event,
			     const struct attempt *attempt)
{
	struct finding finding;

	finding_begin(&finding, "refused", event, importer_of(event, attempt));
	finding_buffer(&finding, "cannot import");
	fprintf(finding.file, ": ");
	if (attempt->pairs && !matched(attempt)) {
		finding.word = NO_COMMON_TYPE;
		tell_no_common_type(attempt->pairs, finding.file);
	} else {
		tell_nothing_said(event->err, finding.file);
	}
	finding_finish(&finding);
}

static void tell_attach(const struct event *event,
			const struct attempt *attempt)
{
	const unsigned int before = findings.count;
	const struct pair *match = matched(attempt), *pair;

	for (pair = attempt->pairs; pair; pair = pair->next) {
		/* After a match, only the exporter can have ended it */
		if (is_specific(pair) && !is_repeated(attempt, pair) &&
		    (!match || pair->exporter))
			tell_refused(event, attempt, pair, "cannot import");
	}
	/* Without a pair, what was lost has said why */
	if (findings.count == before && !(lost && !attempt->pairs))
		tell_unexplained(event, attempt);
}

/* The first pair that both sides know was refused, and a later one was taken */
static void tell_fallback(const struct event *event,
			  const struct attempt *attempt)
{
	const struct pair *better = attempt->pairs, *match = matched(attempt);
	struct finding finding;

	while (better && better != match && !is_specific(better))
		better = better->next;
	if (!better || better == match || !match)
		return;
	finding_begin(&finding, "fallback", event, importer_of(event, attempt));
	finding.word = better->verdict;
	finding.err = better->err;
	finding_buffer(&finding, "imports");
	if (!is_none(better->provider) && is_none(match->provider) &&
	    !strcmp(better->offer, match->offer))
		fprintf(finding.file,
			" without peer-to-peer, so that it has to be in system memory: ");
	else
		fprintf(finding.file, " as %s%s%s and not as %s: ",
			clean(match->offer),
			is_none(match->converter) ? "" : " by ",
			is_none(match->converter) ? "" : clean(match->converter),
			clean(better->offer));
	tell_pair(better, finding.file);
	finding_finish(&finding);
}

static void list_pair(const struct event *event, const struct pair *pair)
{
	struct finding finding = {
		.kind = "pair",
		.importer = pair->importer,
		.comm = event->comm,
		.pid = event->pid,
		.ino = event->ino,
		.exporter = event->exporter,
		.word = pair->verdict,
		.err = pair->err,
	};

	findings_flush();
	finding_open(&finding);
	fprintf(finding.file, "  %s[%d] buffer %llu of %s: offer %s%s%s, ",
		clean_comm(event->comm), event->pid, event->ino,
		clean(event->exporter), clean(pair->offer),
		is_none(pair->converter) ? "" : " by ",
		is_none(pair->converter) ? "" : clean(pair->converter));
	fprintf(finding.file, "request %s of %s: %s", clean(pair->request),
		clean(pair->importer), clean(pair->verdict));
	finding_finish(&finding);
	findings_flush();
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

static void on_attach(struct attempt *attempt, const struct event *event)
{
	const struct pair *pair;

	if (attempt->ino != event->ino)
		attempt_reset(attempt);
	if (event->err) {
		tell_attach(event, attempt);
	} else {
		tell_fallback(event, attempt);
		sight_new(attempt, event, event->offer);
	}
	for (pair = attempt->pairs; pair && options->verbose; pair = pair->next)
		list_pair(event, pair);
	attempt_reset(attempt);
}

/* ---- map, and what else the kernel can fail to do ---- */

static void on_refuse(struct attempt *attempt, const struct event *event)
{
	if (attempt->attaching && attempt->ino == event->ino) {
		attempt_add(attempt, event, true);
		return;
	}
	attempt_reset(attempt);
	attempt_add(attempt, event, true);
	tell_refused(event, attempt, attempt->pairs, "cannot map");
	attempt_reset(attempt);
	attempt->told = event->attach;
	sights_told(attempt, event);
}

static void tell_map(const struct event *event)
{
	struct finding finding;

	finding_begin(&finding, "failed", event, event->importer);
	finding_buffer(&finding, "cannot map");
	fprintf(finding.file, ": ");
	tell_failed_map(event->err, finding.file);
	finding_finish(&finding);
}

/* The exporter's refusal came just before, if it said anything */
static void on_map(struct attempt *attempt, const struct event *event)
{
	struct sight *sight = *find_sight(attempt, event);

	if (event->err) {
		if (attempt->told != event->attach)
			tell_map(event);
		sights_told(attempt, event);
	} else {
		seen.mapped++;
		if (sight) {
			sight->mapped = true;
			sight->ranges = event->ranges;
			sight->told = false;
		}
	}
	attempt->told = 0;
}

static void on_failed(struct attempt *attempt, const struct event *event)
{
	struct finding finding = {
		.kind = "failed",
		.comm = event->comm,
		.pid = event->pid,
		.ino = event->ino,
		.exporter = event->exporter,
		.word = event->verdict,
		.err = event->err,
	};

	finding_open(&finding);
	fprintf(finding.file, "%s[%d] cannot %s ", clean_comm(event->comm),
		event->pid, clean(event->verdict));
	fprintf(finding.file, "buffer %llu of %s: ", event->ino,
		clean(event->exporter));
	tell_failed(event->verdict, event->err, finding.file);
	findings.count++;
	finding_finish(&finding);
	sights_told(attempt, event);
}

/* ---- what only the importer knows ---- */

static void tell_use(const struct sight *sight, FILE *file)
{
	if (!sight->mapped)
		fprintf(file, " after it was attached");
	else if (sight->ranges)
		fprintf(file, " after it was mapped, as %s in %llu piece%s",
			clean(sight->type), sight->ranges,
			sight->ranges == 1 ? "" : "s");
	else
		fprintf(file, " after it was mapped");
}

static void tell_given_back(const struct event *event,
			    const struct sight *sight)
{
	struct finding finding;

	finding_begin(&finding, "given-back", event, sight->importer);
	finding.err = event->call_err;
	finding_buffer(&finding, "gave back");
	tell_use(sight, finding.file);
	fprintf(finding.file,
		", and its system call failed with %s: the importer refused it, and not the kernel's DMA-buf code; ",
		errno_name(event->call_err));
	tell_own_reason(sight->type, sight->ranges, event->call_err,
			finding.file);
	finding_finish(&finding);
}

static void on_detach(struct attempt *attempt, const struct event *event)
{
	struct sight **at = find_sight(attempt, event), *sight = *at;

	if (sight && event->call) {
		if (event->call == sight->call && event->call_err &&
		    !sight->told)
			tell_given_back(event, sight);
	} else if (sight && event->time - sight->time < SOON_NS) {
		seen.detached_soon++;
	}
	sight_end(at);
}

static void forget_lookup(struct attempt *attempt)
{
	free(attempt->looked_up_exporter);
	attempt->looked_up_exporter = NULL;
	attempt->looked_up = 0;
}

static void on_get(struct attempt *attempt, const struct event *event)
{
	seen.looked_up++;
	forget_lookup(attempt);
	if (!event->call || !event->call_err)
		return;
	attempt->looked_up = event->call;
	attempt->looked_up_ino = event->ino;
	attempt->looked_up_exporter = copy(event->exporter);
	attempt->looked_up_err = event->call_err;
}

/* The system call that looked a buffer up has failed, and done no more with it */
static void tell_lookup(struct attempt *attempt)
{
	struct finding finding = {
		.kind = "not-attached",
		.comm = attempt->comm,
		.pid = attempt->pid,
		.ino = attempt->looked_up_ino,
		.exporter = attempt->looked_up_exporter,
		.err = attempt->looked_up_err,
	};

	finding_open(&finding);
	fprintf(finding.file, "%s[%d] looked up buffer %llu of %s",
		clean_comm(finding.comm), finding.pid, finding.ino,
		clean(finding.exporter));
	fprintf(finding.file,
		", and its system call failed with %s before it was attached: ",
		errno_name(finding.err));
	if (options->stock)
		fprintf(finding.file,
			"this kernel does not tell whether the importer or the exporter refused it");
	else
		fprintf(finding.file,
			"no event says why, so it was most likely the importer");
	fprintf(finding.file, "; the kernel log may say more.");
	findings.count++;
	finding_finish(&finding);
}

/* Whatever is done with the buffer explains more than that it was looked up */
static void settle_lookup(struct attempt *attempt, const struct event *event)
{
	if (!attempt->looked_up)
		return;
	if (!event || event->call != attempt->looked_up)
		tell_lookup(attempt);
	else if (event->ino != attempt->looked_up_ino)
		return;
	forget_lookup(attempt);
}

/* ---- events ---- */

void why_event(const struct event *event)
{
	struct attempt *attempt = attempt_of(event);

	if (!strcmp(event->name, "dma_buf_p2p_obstacle")) {
		add_function(attempt, event);
		return;
	}
	settle_lookup(attempt, event);
	if (!strcmp(event->name, "dma_buf_match"))
		on_match(attempt, event);
	else if (!strcmp(event->name, "dma_buf_mapping_attach"))
		on_attach(attempt, event);
	else if (!strcmp(event->name, "dma_buf_dynamic_attach"))
		sight_new(attempt, event, NULL);
	else if (!strcmp(event->name, "dma_buf_refuse"))
		on_refuse(attempt, event);
	else if (!strcmp(event->name, "dma_buf_map"))
		on_map(attempt, event);
	else if (!strcmp(event->name, "dma_buf_failed"))
		on_failed(attempt, event);
	else if (!strcmp(event->name, "dma_buf_detach"))
		on_detach(attempt, event);
	else if (!strcmp(event->name, "dma_buf_get"))
		on_get(attempt, event);
}

void why_begin(const struct why_options *why_options)
{
	options = why_options;
	findings.json = options->json;
	if (options->json)
		fprintf(out, "{\"findings\": [\n");
}

void why_lost(void)
{
	struct attempt *attempt;

	/* What was done with these buffers may be among what was lost */
	for (attempt = attempts; attempt; attempt = attempt->next)
		forget_lookup(attempt);
	if (!lost && !options->json)
		fprintf(out,
			"Events were lost: there were more refusals, or a reason is missing.\n");
	lost = true;
}

static void print_seen(void)
{
	if (!seen.looked_up && !seen.attached) {
		fprintf(out, "The kernel saw no import of a DMA-buf.");
	} else {
		fprintf(out,
			"The kernel saw no refusal; it saw: %u looked up, %u attached, %u mapped",
			seen.looked_up, seen.attached, seen.mapped);
		if (seen.detached_soon)
			fprintf(out, ", %u detached within 0.1 s",
				seen.detached_soon);
		putc('.', out);
	}
	fprintf(out, " What kernel threads do for a process is not seen.\n");
}

void why_end(void)
{
	struct attempt *attempt;

	for (attempt = attempts; attempt; attempt = attempt->next)
		settle_lookup(attempt, NULL);
	findings_flush();
	if (options->json)
		fprintf(out,
			"%s], \"lost\": %s, \"seen\": {\"looked_up\": %u, \"attached\": %u, \"mapped\": %u, \"detached_soon\": %u}}\n",
			findings.printed ? "\n" : "", lost ? "true" : "false",
			seen.looked_up, seen.attached, seen.mapped,
			seen.detached_soon);
	else if (!findings.count && !lost)
		print_seen();
}
