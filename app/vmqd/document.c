/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "document_private.h"

/* Reads at most DOC_FILE_MAX + 1 bytes. Returns NULL with errno. */
static char *
read_all(int fd, size_t *length)
{
	size_t room = 64 << 10, used = 0;
	char *text = NULL, *more;
	ssize_t n;

	for (;;) {
		/* One byte stays free for the NUL. */
		more = realloc(text, room + 1);
		if (more == NULL) {
			free(text);
			errno = ENOMEM;
			return NULL;
		}
		text = more;
		n = read(fd, text + used, room - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(text);
			return NULL;
		}
		used += (size_t)n;
		if (n == 0 || used > DOC_FILE_MAX)
			break;
		if (used == room)
			room *= 2;
	}
	text[used] = '\0';
	*length = used;
	return text;
}

static char *
read_file(const char *file, size_t *length, struct doc_findings *findings)
{
	bool is_stdin = strcmp(file, "-") == 0;
	char *text = NULL;
	int fd, reason;

	fd = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		doc_finding_add(findings, NULL, NULL, "cannot be opened: %s", strerror(errno));
		return NULL;
	}
	text = read_all(fd, length);
	reason = errno;
	if (!is_stdin)
		close(fd);
	if (text == NULL) {
		doc_finding_add(findings, NULL, NULL, "cannot be read: %s", strerror(reason));
		return NULL;
	}
	if (*length > DOC_FILE_MAX) {
		doc_finding_add(findings, NULL, NULL,
			"is longer than %zu MiB, the most that a document may have",
			DOC_FILE_MAX >> 20);
		free(text);
		return NULL;
	}
	return text;
}

/* Queues without an affinity are served by all workers. */
void
doc_fill_affinity(struct doc_reader *r, struct doc_queue *queue)
{
	const struct doc_eal *eal = &r->doc->eal;

	if (queue->n_affinity > 0 || eal->n_workers == 0)
		return;
	queue->affinity = doc_alloc(r, eal->n_workers, sizeof(*queue->affinity));
	if (queue->affinity == NULL)
		return;
	memcpy(queue->affinity, eal->workers, eal->n_workers * sizeof(*queue->affinity));
	queue->n_affinity = eal->n_workers;
}

static void
fill_affinities(struct doc_reader *r)
{
	struct document *doc = r->doc;
	size_t i;

	for (i = 0; i < doc->n_adapters; i++)
		doc_fill_affinity(r, &doc->adapters[i].default_queue);
	for (i = 0; i < doc->n_queues; i++)
		doc_fill_affinity(r, &doc->queues[i]);
}

static json_t *
parse(char *text, size_t length, struct doc_findings *findings)
{
	json_error_t error;
	json_t *root;

	if (length == 0) {
		doc_finding_add(findings, NULL, "a document begins with {\"adapters\": [",
			"is empty");
		return NULL;
	}
	doc_scan_numbers(text, length);
	/*
	 * JSON_REJECT_DUPLICATES would end the parse at the first one, without a
	 * pointer; JSON_ALLOW_NUL lets the decoder say which string has a NUL.
	 */
	root = json_loadb(text, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (root == NULL)
		doc_finding_add(findings, NULL,
			"JSON has no comments, and no comma after the last item",
			"is not JSON at line %d, column %d: %s", error.line, error.column,
			error.text);
	return root;
}

struct document *
doc_read_text(char *text, size_t length, bool machine, struct doc_findings *findings)
{
	struct doc_reader r = {.findings = findings};
	json_t *root;

	root = parse(text, length, findings);
	if (root == NULL)
		return NULL;
	r.doc = calloc(1, sizeof(*r.doc));
	r.adapter_index = json_object();
	if (r.doc == NULL || r.adapter_index == NULL) {
		r.no_memory = true;
		goto out;
	}
	r.doc->source = json_incref(root);
	doc_scan_duplicates(&r, text, length);
	doc_decode_root(&r, root);
	doc_check(&r);
	fill_affinities(&r);
	/* Of a document that is no object nothing is known to be looked for. */
	if (machine && json_is_object(root))
		doc_check_machine(r.doc, r.hugepages_known, findings);
out:
	json_decref(r.adapter_index);
	json_decref(root);
	if (r.no_memory)
		doc_finding_add(findings, NULL, NULL, "out of memory while reading the document");
	return r.doc;
}

static struct document *
read_document(const char *file, struct doc_findings *findings, bool machine)
{
	struct document *doc;
	size_t length;
	char *text;

	*findings = (struct doc_findings){0};
	text = read_file(file, &length, findings);
	if (text == NULL)
		return NULL;
	doc = doc_read_text(text, length, machine, findings);
	free(text);
	if (doc_findings_any(findings)) {
		document_free(doc);
		return NULL;
	}
	return doc;
}

struct document *
document_read(const char *file, struct doc_findings *findings)
{
	return read_document(file, findings, false);
}

struct document *
document_parse(const char *text, size_t length, struct doc_findings *findings)
{
	char *copy = malloc(length + 1);
	struct document *doc = NULL;

	*findings = (struct doc_findings){0};
	if (copy == NULL) {
		doc_finding_add(findings, NULL, NULL, "out of memory while reading the document");
		return NULL;
	}
	memcpy(copy, text, length);
	copy[length] = '\0';
	doc = doc_read_text(copy, length, false, findings);
	free(copy);
	if (doc_findings_any(findings)) {
		document_free(doc);
		return NULL;
	}
	return doc;
}

struct document *
document_load(const char *file, struct doc_findings *findings)
{
	return read_document(file, findings, true);
}

void
doc_queue_free(struct doc_queue *queue)
{
	free(queue->name);
	free(queue->vm);
	free(queue->affinity);
	free(queue->filters);
	free(queue->backend.file);
	free(queue->backend.device);
	free(queue->backend.socket);
	free(queue->backend.owner);
	free(queue->backend.group);
}

void
document_free(struct document *doc)
{
	size_t i;

	if (doc == NULL)
		return;
	for (i = 0; i < doc->n_queues; i++)
		doc_queue_free(&doc->queues[i]);
	free(doc->queues);
	for (i = 0; i < doc->n_adapters; i++) {
		free(doc->adapters[i].name);
		free(doc->adapters[i].device);
		doc_queue_free(&doc->adapters[i].default_queue);
	}
	free(doc->adapters);
	for (i = 0; i < doc->eal.n_extra_args; i++)
		free(doc->eal.extra_args[i]);
	free(doc->eal.extra_args);
	free(doc->eal.workers);
	doc_control_free(&doc->control);
	free(doc->eal.file_prefix);
	free(doc->metrics_address);
	json_decref(doc->source);
	free(doc);
}
