/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQD_OPTIONS_H
#define VMQD_OPTIONS_H

#include <stdbool.h>

/** The command line. Strings are those of argv. */
struct options {
	const char *config;
	bool check;
	double seconds; /**< 0: until a signal. */
	double stats_interval; /**< In seconds. */
	const char *stats_json; /**< Path, "-": standard output, NULL: none. */
	bool quiet;
	bool verbose;
};

/** What the program does after reading the command line. */
enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE, /**< --help or --version: exit status 0. */
	OPTIONS_WRONG, /**< Said on stderr: exit status 2. */
};

enum options_result options_read(int argc, char **argv, struct options *options);

#endif /* VMQD_OPTIONS_H */
