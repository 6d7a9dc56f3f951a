/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "document_private.h"

/*
 * Only a hostile document has longer pointers (keys of megabytes, two thousand
 * levels), and it could have a thousand of them.
 */
#define POINTER_MAX 2048

static void
put_key(FILE *out, const char *key)
{
	const char *end = key + strnlen(key, POINTER_MAX + 1);

	for (; key < end; key++) {
		if (*key == '~')
			fputs("~0", out);
		else if (*key == '/')
			fputs("~1", out);
		else
			fputc(*key, out);
	}
}

char *
doc_path_text(const struct doc_path *path)
{
	const struct doc_path **chain, *p;
	size_t depth = 0, i, size;
	char *text = NULL;
	FILE *out;

	for (p = path; p != NULL; p = p->parent)
		depth++;
	chain = calloc(depth + 1, sizeof(*chain));
	out = open_memstream(&text, &size);
	if (chain == NULL || out == NULL) {
		free(chain);
		if (out != NULL)
			fclose(out);
		free(text);
		return NULL;
	}
	for (p = path, i = depth; p != NULL; p = p->parent)
		chain[--i] = p;
	for (i = 0; i < depth && ftell(out) <= POINTER_MAX; i++) {
		fputc('/', out);
		if (chain[i]->key != NULL)
			put_key(out, chain[i]->key);
		else
			fprintf(out, "%zu", chain[i]->index);
	}
	free(chain);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	if (size > POINTER_MAX)
		strcpy(text + POINTER_MAX - 3, "...");
	return text;
}

void
doc_finding_add(struct doc_findings *findings, const struct doc_path *at, const char *hint,
	const char *format, ...)
{
	struct doc_finding f = {0}, *list;
	va_list ap;
	int ret;

	if (findings->count >= DOC_FINDINGS_MAX) {
		findings->dropped++;
		return;
	}
	list = realloc(findings->list, (findings->count + 1) * sizeof(*list));
	if (list == NULL) {
		findings->dropped++;
		return;
	}
	findings->list = list;
	va_start(ap, format);
	ret = vasprintf(&f.message, format, ap);
	va_end(ap);
	if (ret < 0)
		f.message = NULL;
	f.pointer = doc_path_text(at);
	if (hint != NULL)
		f.hint = strdup(hint);
	if (f.message == NULL || f.pointer == NULL || (hint != NULL && f.hint == NULL)) {
		free(f.message);
		free(f.pointer);
		free(f.hint);
		findings->dropped++;
		return;
	}
	list[findings->count++] = f;
}

void
doc_findings_free(struct doc_findings *findings)
{
	size_t i;

	for (i = 0; i < findings->count; i++) {
		free(findings->list[i].pointer);
		free(findings->list[i].message);
		free(findings->list[i].hint);
	}
	free(findings->list);
	*findings = (struct doc_findings){0};
}

/* A document must not be able to send escape sequences to a terminal. */
static void
print_text(FILE *out, const char *text)
{
	const unsigned char *p;

	for (p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p < 0x20 || *p == 0x7f) {
			fprintf(out, "\\u%04x", *p);
		} else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) {
			fprintf(out, "\\u%04x", p[1]);
			p++;
		} else {
			fputc(*p, out);
		}
	}
}

void
doc_findings_print(const struct doc_findings *findings, const char *file, FILE *out)
{
	const struct doc_finding *f;
	size_t i;

	for (i = 0; i < findings->count; i++) {
		f = &findings->list[i];
		fprintf(out, "%s: error", file);
		if (f->pointer[0] != '\0') {
			fputs(" at ", out);
			print_text(out, f->pointer);
		}
		fputs(": ", out);
		print_text(out, f->message);
		fputc('\n', out);
		if (f->hint != NULL) {
			fputs("  hint: ", out);
			print_text(out, f->hint);
			fputc('\n', out);
		}
	}
	if (findings->dropped > 0)
		fprintf(out, "%s: error: %zu more findings are not shown\n", file,
			findings->dropped);
}

const char *
doc_quote(char out[DOC_QUOTE_SIZE], const char *text)
{
	/* Two quotes, three dots, NUL. */
	const size_t room = DOC_QUOTE_SIZE - 6;
	size_t length = strlen(text);

	if (length <= room) {
		snprintf(out, DOC_QUOTE_SIZE, "\"%s\"", text);
		return out;
	}
	/* Not in the middle of a UTF-8 character. */
	for (length = room; length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80; length--)
		;
	snprintf(out, DOC_QUOTE_SIZE, "\"%.*s...\"", (int)length, text);
	return out;
}

#define WORD_MAX 64

static char
fold(char c)
{
	return c == '-' || c == ' ' ? '_' : (char)tolower((unsigned char)c);
}

/* Optimal string alignment: insert, delete, replace, exchange two neighbours. */
static unsigned int
edit_distance(const char *a, const char *b)
{
	unsigned int rows[3][WORD_MAX + 1], *row, *last, *before;
	size_t la = strlen(a), lb = strlen(b), i, j;

	for (j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (i = 1; i <= la; i++) {
		row = rows[i % 3];
		last = rows[(i + 2) % 3];
		before = rows[(i + 1) % 3];
		row[0] = i;
		for (j = 1; j <= lb; j++) {
			row[j] = last[j - 1] + (fold(a[i - 1]) != fold(b[j - 1]));
			row[j] = RTE_MIN(row[j], last[j] + 1);
			row[j] = RTE_MIN(row[j], row[j - 1] + 1);
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
				fold(a[i - 2]) == fold(b[j - 1]))
				row[j] = RTE_MIN(row[j], before[j - 2] + 1);
		}
	}
	return rows[la % 3][lb];
}

int
doc_nearest(const char *text, const char *const *words, size_t n)
{
	unsigned int distance, best = UINT_MAX;
	size_t i, shorter, length = strlen(text);
	int nearest = -1;

	if (length > WORD_MAX)
		return -1;
	for (i = 0; i < n; i++) {
		if (words[i] == NULL || strlen(words[i]) > WORD_MAX)
			continue;
		distance = edit_distance(text, words[i]);
		shorter = RTE_MIN(length, strlen(words[i]));
		/* Of short words one letter, of longer ones a third may be wrong. */
		if (distance < best && distance <= RTE_MAX(shorter / 3, (size_t)1) &&
			distance < shorter) {
			best = distance;
			nearest = (int)i;
		}
	}
	return nearest;
}
