/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "document_private.h"

/* Position after the string that begins at text[i], or length. */
static size_t
skip_string(const char *text, size_t length, size_t i)
{
	for (i++; i < length && text[i] != '"'; i++) {
		if (text[i] == '\\')
			i++;
	}
	return i < length ? i + 1 : length;
}

static size_t
skip_digits(const char *text, size_t length, size_t i)
{
	while (i < length && isdigit((unsigned char)text[i]))
		i++;
	return i;
}

/* Write what, then blanks up to end: the text keeps its length and its lines. */
static void
replace_number(char *text, size_t begin, size_t end, const char *what)
{
	memset(text + begin, ' ', end - begin);
	memcpy(text + begin, what, strlen(what));
}

/* A number by the grammar of JSON begins at text[i]; returns its end. */
static size_t
tame_number(char *text, size_t length, size_t begin)
{
	size_t i = begin, digits, end;
	bool real = false;
	char copy[64];

	if (text[i] == '-')
		i++;
	digits = i;
	i = skip_digits(text, length, i);
	/* Not JSON: jansson shall say so. */
	if (i == digits || (text[digits] == '0' && i > digits + 1))
		return i;
	end = i;
	if (i < length && text[i] == '.') {
		end = skip_digits(text, length, i + 1);
		if (end == i + 1)
			return end;
		real = true;
		i = end;
	}
	if (i < length && (text[i] == 'e' || text[i] == 'E')) {
		i++;
		if (i < length && (text[i] == '+' || text[i] == '-'))
			i++;
		end = skip_digits(text, length, i);
		if (end == i)
			return end;
		real = true;
	}
	if (real) {
		/* No key takes a real number: which one it is does not matter. */
		if (end - begin >= sizeof(copy)) {
			replace_number(text, begin, end, "0.0");
		} else {
			memcpy(copy, text + begin, end - begin);
			copy[end - begin] = '\0';
			if (isinf(strtod(copy, NULL)))
				replace_number(text, begin, end, "0.0");
		}
	} else if (end - digits >= 19) {
		/* A sign, 19 digits, and one more to see that there are more. */
		digits = RTE_MIN(end - begin, (size_t)21);
		memcpy(copy, text + begin, digits);
		copy[digits] = '\0';
		errno = 0;
		(void)strtoll(copy, NULL, 10);
		if (errno == ERANGE)
			replace_number(text, begin, end,
				text[begin] == '-' ? "-9223372036854775808" : "9223372036854775807");
	}
	return end;
}

void
doc_scan_numbers(char *text, size_t length)
{
	size_t i = 0;

	while (i < length) {
		if (text[i] == '"')
			i = skip_string(text, length, i);
		else if (text[i] == '-' || isdigit((unsigned char)text[i]))
			i = tame_number(text, length, i);
		else
			i++;
	}
}

/* An object or array that is open at the moment. */
struct level {
	struct doc_path here; /* the member that we are in */
	json_t *keys; /* of an object: key to the line where it is; NULL: an array */
	char *key;
};

struct scan {
	struct doc_reader *r;
	struct level *levels;
	size_t depth, room;
	bool key_next; /* the next string is a key */
	size_t line;
};

static bool
scan_open(struct scan *s, bool object)
{
	struct level *levels = s->levels, *level;
	size_t i;

	if (s->depth == s->room) {
		s->room = s->room * 2 + 16;
		levels = realloc(levels, s->room * sizeof(*levels));
		if (levels == NULL)
			return false;
		s->levels = levels;
		for (i = 1; i < s->depth; i++)
			levels[i].here.parent = &levels[i - 1].here;
	}
	level = &levels[s->depth];
	*level = (struct level){.here.parent = s->depth > 0 ? &level[-1].here : NULL};
	if (object) {
		level->keys = json_object();
		if (level->keys == NULL)
			return false;
	}
	s->depth++;
	s->key_next = object;
	return true;
}

static void
scan_close(struct scan *s)
{
	struct level *level = &s->levels[--s->depth];

	json_decref(level->keys);
	free(level->key);
	s->key_next = false;
}

/* The key is given with its quotes. */
static bool
scan_key(struct scan *s, const char *text, size_t length)
{
	struct level *level = &s->levels[s->depth - 1];
	char quoted[DOC_QUOTE_SIZE];
	char lines[64];
	json_t *string, *line;

	string = json_loadb(text, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (string == NULL)
		return false;
	free(level->key);
	level->key = strdup(json_string_value(string));
	json_decref(string);
	if (level->key == NULL)
		return false;
	level->here.key = level->key;
	line = json_object_get(level->keys, level->key);
	if (line == NULL)
		return json_object_set_new(level->keys, level->key, json_integer(s->line)) == 0;
	/* 0: already reported. */
	if (json_integer_value(line) == 0)
		return true;
	if (json_integer_value(line) == (json_int_t)s->line)
		snprintf(lines, sizeof(lines), "line %zu", s->line);
	else
		snprintf(lines, sizeof(lines), "lines %" JSON_INTEGER_FORMAT " and %zu",
			json_integer_value(line), s->line);
	doc_finding_add(s->r->findings, &level->here, "keep one of them",
		"key %s is given more than once, in %s", doc_quote(quoted, level->key), lines);
	return json_integer_set(line, 0) == 0;
}

void
doc_scan_duplicates(struct doc_reader *r, const char *text, size_t length)
{
	struct scan s = {.r = r, .line = 1};
	bool ok = true;
	size_t i, end;

	for (i = 0; i < length && ok; i++) {
		switch (text[i]) {
		case '\n':
			s.line++;
			break;
		case '{':
		case '[':
			ok = scan_open(&s, text[i] == '{');
			break;
		case '}':
		case ']':
			scan_close(&s);
			break;
		case ',':
			if (s.levels[s.depth - 1].keys != NULL)
				s.key_next = true;
			else
				s.levels[s.depth - 1].here.index++;
			break;
		case '"':
			end = skip_string(text, length, i);
			if (s.key_next)
				ok = scan_key(&s, text + i, end - i);
			s.key_next = false;
			i = end - 1;
			break;
		}
	}
	if (!ok)
		r->no_memory = true;
	while (s.depth > 0)
		scan_close(&s);
	free(s.levels);
}
