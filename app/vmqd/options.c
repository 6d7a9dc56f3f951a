/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_version.h>

#include "options.h"

/* Bounds of times on the command line: a day's worth of interval is enough. */
#define INTERVAL_MIN 0.01
#define TIME_MAX 1e9

/* One row an option: getopt's table and the help come from it. */
static const struct {
	const char *name;
	char letter;
	const char *argument; /* NULL: none */
	const char *help;
} rows[] = {
	{"config", 'c', "FILE", "run by this document (- is standard input)"},
	{"check", 'C', NULL, "only check the document; exit status 0 if it is good"},
	{"seconds", 's', "N", "stop after N seconds; without it, on SIGINT or SIGTERM"},
	{"stats-interval", 'i', "S", "show statistics every S seconds (default 1)"},
	{"stats-json", 'j', "FILE",
		"write statistics as JSON, one object a line, to FILE (- is standard output)"},
	{"quiet", 'q', NULL, "no table on standard output"},
	{"verbose", 'v', NULL, "show what DPDK logs"},
	{"version", 'V', NULL, "print the versions of vmqd and DPDK"},
	{"help", 'h', NULL, "print this"},
};

static void
print_help(FILE *out)
{
	char left[40];
	size_t i;

	fprintf(out, "vmqd: virtual machine queues for DPDK\n\n"
		     "usage: vmqd -c FILE [options]\n\n");
	for (i = 0; i < RTE_DIM(rows); i++) {
		snprintf(left, sizeof(left), "-%c, --%s %s", rows[i].letter, rows[i].name,
			rows[i].argument != NULL ? rows[i].argument : "");
		fprintf(out, "  %-26s %s\n", left, rows[i].help);
	}
	fputs("\nsignals: SIGTERM and SIGINT stop in order; SIGHUP applies the document on disk\n",
		out);
	fprintf(out, "exit status: 0 orderly stop, 1 error (also a packet that did not come "
		     "home), 2 wrong usage\n");
}

static bool
read_time(const char *name, const char *text, double min, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	if (end != text && *end == '\0' && isfinite(*seconds) && *seconds >= min &&
		*seconds <= TIME_MAX)
		return true;
	fprintf(stderr, "vmqd: --%s takes a number of seconds from %g to %g, not \"%s\"\n", name,
		min, TIME_MAX, text);
	return false;
}

enum options_result
options_read(int argc, char **argv, struct options *options)
{
	struct option table[RTE_DIM(rows) + 1] = {0};
	char letters[2 * RTE_DIM(rows) + 2] = ":";
	size_t i, n = 1;
	int letter;

	for (i = 0; i < RTE_DIM(rows); i++) {
		table[i].name = rows[i].name;
		table[i].has_arg = rows[i].argument != NULL ? required_argument : no_argument;
		table[i].val = rows[i].letter;
		letters[n++] = rows[i].letter;
		if (rows[i].argument != NULL)
			letters[n++] = ':';
	}
	*options = (struct options){.stats_interval = 1};
	opterr = 0;
	while ((letter = getopt_long(argc, argv, letters, table, NULL)) != -1) {
		switch (letter) {
		case 'c':
			options->config = optarg;
			break;
		case 'C':
			options->check = true;
			break;
		case 's':
			if (!read_time("seconds", optarg, INTERVAL_MIN, &options->seconds))
				return OPTIONS_WRONG;
			break;
		case 'i':
			if (!read_time("stats-interval", optarg, INTERVAL_MIN,
				    &options->stats_interval))
				return OPTIONS_WRONG;
			break;
		case 'j':
			options->stats_json = optarg;
			break;
		case 'q':
			options->quiet = true;
			break;
		case 'v':
			options->verbose = true;
			break;
		case 'V':
			printf("vmqd %s, %s\n", VMQ_VERSION, rte_version());
			return OPTIONS_DONE;
		case 'h':
			print_help(stdout);
			return OPTIONS_DONE;
		case ':':
			fprintf(stderr, "vmqd: %s takes an argument; vmqd --help lists the options\n",
				argv[optind - 1]);
			return OPTIONS_WRONG;
		default:
			fprintf(stderr, "vmqd: unknown option %s; vmqd --help lists the options\n",
				argv[optind - 1]);
			return OPTIONS_WRONG;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "vmqd: unexpected argument \"%s\"; vmqd --help lists the options\n",
			argv[optind]);
		return OPTIONS_WRONG;
	}
	if (options->config == NULL) {
		fprintf(stderr, "vmqd: which document? vmqd -c FILE; vmqd --help lists the options\n");
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}
