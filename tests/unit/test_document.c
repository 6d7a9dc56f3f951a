/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * The parts of the document reader that a whole document does not show, and the
 * machine checks, on a machine made of files. Documents good and bad are the
 * matter of tests/functional/test_document.py.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_memory.h>

#include <vmq_queue.h>

#include "document_private.h"

#define MIB (UINT64_C(1) << 20)

/* A machine: a folder with the files of sysfs and procfs that are looked at. */
static char root[] = "/tmp/vmq-test-document-XXXXXX";

static void
make_folders(char *path)
{
	char *slash;

	for (slash = strchr(path + strlen(root) + 1, '/'); slash != NULL;
		slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0700) != 0)
			assert_int_equal(errno, EEXIST);
		*slash = '/';
	}
}

static void
put(const char *file, const char *text)
{
	char path[PATH_MAX];
	FILE *out;

	snprintf(path, sizeof(path), "%s%s", root, file);
	make_folders(path);
	out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fprintf(out, "%s\n", text), strlen(text) + 1);
	assert_int_equal(fclose(out), 0);
}

static void
put_link(const char *file, const char *target)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", root, file);
	make_folders(path);
	assert_int_equal(symlink(target, path), 0);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	(void)st;
	(void)flag;
	(void)where;
	return remove(path);
}

static int
setup_machine(void **state)
{
	(void)state;
	strcpy(root + strlen(root) - 6, "XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	put("/sys/devices/system/cpu/cpu0/topology/core_id", "0");
	put("/sys/devices/system/cpu/cpu1/topology/core_id", "1");
	put("/sys/devices/system/cpu/cpu2/topology/core_id", "2");
	put("/sys/devices/system/node/node0/cpulist", "0-1");
	put("/proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 1048576 kB\n"
		"Hugepagesize:       2048 kB");
	return 0;
}

static int
teardown_machine(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define NODE_PAGES(n) "/sys/devices/system/node/node" #n "/hugepages/hugepages-2048kB/"

static void
put_pages(const char *nr, const char *free_pages)
{
	put("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", nr);
	put("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", free_pages);
	put(NODE_PAGES(0) "nr_hugepages", nr);
	put(NODE_PAGES(0) "free_hugepages", free_pages);
}

/* Reads a document that must be good, without the real machine. */
static struct document *
read_good(const char *json)
{
	struct doc_findings findings = {0};
	char *text = strdup(json);
	struct document *doc;

	assert_non_null(text);
	doc = doc_read_text(text, strlen(text), false, &findings);
	doc_findings_print(&findings, "document", stderr);
	assert_int_equal(findings.count + findings.dropped, 0);
	assert_non_null(doc);
	free(text);
	return doc;
}

/* Reads a document that must be bad. */
static struct doc_findings
read_bad(const char *json, size_t length)
{
	struct doc_findings findings = {0};
	char *text = calloc(1, length + 1);

	assert_non_null(text);
	memcpy(text, json, length);
	document_free(doc_read_text(text, length, false, &findings));
	free(text);
	assert_true(findings.count > 0);
	return findings;
}

static void
assert_found(const struct doc_findings *findings, size_t i, const char *pointer,
	const char *message, const char *hint)
{
	const struct doc_finding *f;

	assert_true(i < findings->count);
	f = &findings->list[i];
	assert_string_equal(f->pointer, pointer);
	if (strstr(f->message, message) == NULL)
		fail_msg("not in the message \"%s\": \"%s\"", f->message, message);
	if (hint == NULL)
		return;
	assert_non_null(f->hint);
	if (strstr(f->hint, hint) == NULL)
		fail_msg("not in the hint \"%s\": \"%s\"", f->hint, hint);
}

static void
assert_path(const struct doc_path *path, const char *expected)
{
	char *text = doc_path_text(path);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void
pointers_are_those_of_rfc_6901(void **state)
{
	(void)state;
	assert_path(NULL, "");
	assert_path(DOC_KEY(NULL, ""), "/");
	assert_path(DOC_KEY(NULL, "a/b"), "/a~1b");
	assert_path(DOC_KEY(NULL, "m~n"), "/m~0n");
	assert_path(DOC_KEY(NULL, "~1"), "/~01");
	assert_path(DOC_KEY(DOC_INDEX(DOC_KEY(NULL, "queues"), 12), " \"%"), "/queues/12/ \"%");
}

static void
a_pointer_that_is_too_long_is_cut(void **state)
{
	char key[5000], *text;

	(void)state;
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	text = doc_path_text(DOC_INDEX(DOC_KEY(NULL, key), 3));
	assert_non_null(text);
	assert_true(strlen(text) < 2100);
	assert_string_equal(text + strlen(text) - 4, "k...");
	free(text);
}

static void
the_nearest_word_is_suggested(void **state)
{
	static const char *const words[] = {"name", "device", NULL, "rx_descriptors", "mtu", "vm"};
	static const struct {
		const char *text;
		int nearest;
	} cases[] = {
		{"name", 0}, {"nmae", 0}, {"nam", 0}, {"names", 0}, {"NAME", 0},
		{"rx_descriptor", 3}, {"rx-descriptors", 3}, {"rxdescriptors", 3},
		{"rx_desc", -1}, {"devcie", 1}, {"mtv", 4}, {"v", -1}, {"vn", 5},
		{"xy", -1}, {"", -1}, {"colour", -1}, {"n", -1}, {"address", -1},
	};
	char text[1000];
	size_t i;

	(void)state;
	for (i = 0; i < RTE_DIM(cases); i++) {
		if (doc_nearest(cases[i].text, words, RTE_DIM(words)) != cases[i].nearest)
			fail_msg("\"%s\" is near %d", cases[i].text,
				doc_nearest(cases[i].text, words, RTE_DIM(words)));
	}
	memset(text, 'n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(doc_nearest(text, words, RTE_DIM(words)), -1);
}

static void
a_quoted_text_is_cut_between_characters(void **state)
{
	char text[301], quoted[DOC_QUOTE_SIZE];
	size_t i, shift;

	(void)state;
	assert_string_equal(doc_quote(quoted, "vm1"), "\"vm1\"");
	for (shift = 0; shift < 3; shift++) {
		memset(text, 'a', shift);
		/* U+20AC, three bytes */
		for (i = shift; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 3);
		text[i] = '\0';
		doc_quote(quoted, text);
		assert_true(strlen(quoted) < DOC_QUOTE_SIZE);
		assert_string_equal(quoted + strlen(quoted) - 7, "\xe2\x82\xac...\"");
	}
}

static void
findings_are_printed_without_control_characters(void **state)
{
	struct doc_findings findings = {0};
	char *text = NULL;
	size_t size;
	FILE *out;

	(void)state;
	doc_finding_add(&findings, NULL, NULL, "whole %d", 5);
	doc_finding_add(&findings, DOC_KEY(NULL, "\x1b[2J"), "h\nint", "m\x7f \xc2\x9b \xc3\xa9");
	out = open_memstream(&text, &size);
	assert_non_null(out);
	doc_findings_print(&findings, "f.json", out);
	fclose(out);
	assert_string_equal(text, "f.json: error: whole 5\n"
		"f.json: error at /\\u001b[2J: m\\u007f \\u009b \xc3\xa9\n  hint: h\\u000aint\n");
	free(text);
	doc_findings_free(&findings);
	assert_int_equal(findings.count, 0);
}

static void
findings_over_the_limit_are_counted(void **state)
{
	struct doc_findings findings = {0};
	unsigned int i;

	(void)state;
	for (i = 0; i < DOC_FINDINGS_MAX + 7; i++)
		doc_finding_add(&findings, DOC_INDEX(NULL, i), NULL, "bad");
	assert_int_equal(findings.count, DOC_FINDINGS_MAX);
	assert_int_equal(findings.dropped, 7);
	doc_findings_free(&findings);
}

static void
assert_tamed(const char *before, const char *after)
{
	char text[256];

	snprintf(text, sizeof(text), "%s", before);
	doc_scan_numbers(text, strlen(text));
	assert_string_equal(text, after);
}

static void
numbers_that_jansson_refuses_are_tamed_in_place(void **state)
{
	(void)state;
	assert_tamed("[9223372036854775807]", "[9223372036854775807]");
	assert_tamed("[9223372036854775808]", "[9223372036854775807]");
	assert_tamed("[-9223372036854775808]", "[-9223372036854775808]");
	assert_tamed("[-9223372036854775809]", "[-9223372036854775808]");
	assert_tamed("[123456789012345678901234]", "[9223372036854775807     ]");
	assert_tamed("[1e308, 1e309, -1.5E+999]", "[1e308, 0.0  , 0.0      ]");
	/* Not in strings, and nothing that is no number. */
	assert_tamed("[\"99999999999999999999 \\\" 1e999\"]", "[\"99999999999999999999 \\\" 1e999\"]");
	assert_tamed("[0099999999999999999999]", "[0099999999999999999999]");
	assert_tamed("[1.e999, 1e, -, \"1e999", "[1.e999, 1e, -, \"1e999");
	assert_tamed("\"\\", "\"\\");
}

static void
every_key_given_twice_is_found_where_it_is(void **state)
{
	static const char json[] =
		"{\"a\": [{}, {\"x\": 1,\n\"y\": {\"x\": 2}, \"x\": \"}{\\\"x\\\":\"}],\n"
		"\"b\": {\"~/\": [], \"~/\": [{\"k\": 0, \"\\u006b\": 1}]}, \"c\": {\"a\": \"b\"},"
		"\"a\": 1, \"a\": 2}";
	struct doc_findings findings = {0};
	struct doc_reader r = {.findings = &findings};

	(void)state;
	doc_scan_duplicates(&r, json, strlen(json));
	assert_false(r.no_memory);
	assert_int_equal(findings.count, 4);
	assert_found(&findings, 0, "/a/1/x", "key \"x\" is given more than once, in lines 1 and 2",
		"keep one");
	assert_found(&findings, 1, "/b/~0~1", "in line 3", NULL);
	assert_found(&findings, 2, "/b/~0~1/0/k", "\"k\"", NULL);
	assert_found(&findings, 3, "/a", "in lines 1 and 3", NULL);
	doc_findings_free(&findings);
}

static void
duplicates_are_found_at_the_greatest_depth(void **state)
{
	enum { DEPTH = 2000 };
	char *json = calloc(1, DEPTH * 7 + 64);
	struct doc_findings findings = {0};
	struct doc_reader r = {.findings = &findings};
	char *p = json;
	int i;

	(void)state;
	assert_non_null(json);
	for (i = 0; i < DEPTH; i++)
		p = stpcpy(p, i % 2 == 0 ? "[" : "{\"k\":");
	p = stpcpy(p, "{\"d\":1,\"d\":2}");
	for (i = DEPTH - 1; i >= 0; i--)
		p = stpcpy(p, i % 2 == 0 ? "]" : "}");
	doc_scan_duplicates(&r, json, strlen(json));
	assert_int_equal(findings.count, 1);
	doc_findings_free(&findings);
	free(json);
}

static void
every_cut_of_a_document_is_refused(void **state)
{
	static const char json[] =
		"{\"eal\": {\"workers\": [1], \"hugepages\": false},\n"
		"\"adapters\": [{\"name\": \"n\\u00e9\", \"device\": \"net_null0\"}],\n"
		"\"queues\": [{\"name\": \"q\", \"vm\": \"v\", \"filters\": [{\"vlan\": -1e3}],"
		"\"backend\": {\"type\": \"sink\"}}]}";
	struct doc_findings findings;
	size_t end;

	(void)state;
	for (end = 0; end < sizeof(json); end++) {
		findings = read_bad(json, end);
		assert_string_equal(findings.list[0].pointer,
			end == sizeof(json) - 1 ? "/queues/0/filters/0/vlan" : "");
		doc_findings_free(&findings);
	}
}

static void
every_changed_byte_of_a_document_is_survived(void **state)
{
	static const char json[] =
		"{\"eal\": {\"main_core\": 0, \"workers\": [1], \"hugepages\": false},"
		"\"adapters\": [{\"name\": \"n\", \"device\": \"net_null0,x=1\"}],"
		"\"queues\": [{\"name\": \"q\", \"vm\": \"v\", \"affinity\": [1],"
		"\"filters\": [{\"mac\": \"52:54:00:00:00:01\", \"vlan\": 5}, {\"vlan\": 5}],"
		"\"backend\": {\"type\": \"pcap\", \"file\": \"f\"}}]}";
	static const char bytes[] = "\0\x01\"\\{}[],:019e-.x\x7f\x80\xff";
	struct doc_findings findings;
	char text[sizeof(json)];
	size_t i, b;

	(void)state;
	document_free(read_good(json));
	for (i = 0; i < sizeof(json) - 1; i++) {
		for (b = 0; b < sizeof(bytes) - 1; b++) {
			memcpy(text, json, sizeof(json));
			text[i] = bytes[b];
			findings = (struct doc_findings){0};
			document_free(doc_read_text(text, sizeof(json) - 1, false, &findings));
			doc_findings_free(&findings);
		}
	}
}

static void
what_a_document_leaves_out_has_its_default(void **state)
{
	struct document *doc;

	(void)state;
	doc = read_good("{\"eal\": {\"main_core\": 3, \"workers\": [5, 7]},"
			"\"adapters\": [{\"name\": \"a\", \"device\": \"net_null0\"}],"
			"\"queues\": [{\"name\": \"q\", \"vm\": \"v\", \"backend\": {\"type\": \"sink\"},"
			"\"memory\": {\"buffers\": 77}, \"filters\": [{\"mac\": \"02:00:00:00:00:0A\"},"
			"{\"vlan\": 9}]}]}");
	assert_true(doc->eal.hugepages);
	assert_true(doc->eal.in_memory);
	assert_int_equal(doc->eal.memory_mb, 0);
	assert_null(doc->eal.file_prefix);
	assert_int_equal(doc->eal.main_core, 3);
	assert_int_equal(doc->n_adapters, 1);
	assert_int_equal(doc->adapters[0].rx_descriptors, 1024);
	assert_int_equal(doc->adapters[0].mtu, 1500);
	assert_string_equal(doc->adapters[0].default_queue.name, "default");
	assert_null(doc->adapters[0].default_queue.vm);
	assert_int_equal(doc->adapters[0].default_queue.backend.type, VMQ_BACKEND_SINK);
	assert_int_equal(doc->adapters[0].default_queue.memory.buffers, 4096);
	assert_int_equal(doc->adapters[0].default_queue.n_affinity, 2);
	assert_int_equal(doc->n_queues, 1);
	assert_int_equal(doc->queues[0].adapter, 0);
	assert_int_equal(doc->queues[0].memory.limit, 77);
	assert_int_equal(doc->queues[0].memory.buffer_size, 2048);
	assert_int_equal(doc->queues[0].memory.node, SOCKET_ID_ANY);
	assert_false(doc->queues[0].memory.contiguous);
	assert_false(doc->queues[0].keep_tags);
	assert_int_equal(doc->queues[0].n_affinity, 2);
	assert_int_equal(doc->queues[0].affinity[0], 5);
	assert_int_equal(doc->queues[0].affinity[1], 7);
	assert_int_equal(doc->queues[0].n_filters, 2);
	assert_true(doc->queues[0].filters[0].has_mac);
	assert_int_equal(doc->queues[0].filters[0].mac.addr_bytes[5], 0x0a);
	assert_int_equal(doc->queues[0].filters[0].vlan_test, VMQ_VLAN_ANY);
	assert_false(doc->queues[0].filters[1].has_mac);
	assert_int_equal(doc->queues[0].filters[1].vlan_test, VMQ_VLAN_ID);
	assert_int_equal(doc->queues[0].filters[1].vlan_id, 9);
	document_free(doc);
}

static void
cores_that_are_not_named_are_those_of_the_process(void **state)
{
	cpu_set_t before, cpus;
	struct document *doc;
	int cpu, first = -1, second = -1;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	for (cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
		if (CPU_ISSET(cpu, &before)) {
			second = first;
			first = cpu;
		}
	}
	doc = read_good("{\"adapters\": [{\"name\": \"a\", \"device\": \"net_null0\"}]}");
	assert_int_equal(doc->eal.main_core, first);
	assert_int_equal(doc->eal.n_workers, 1);
	assert_int_equal(doc->eal.workers[0], second >= 0 ? second : first);
	document_free(doc);

	/* Bound to one later, it means the same ones. */
	CPU_ZERO(&cpus);
	CPU_SET(first, &cpus);
	assert_int_equal(document_keep_cpus(true), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
	doc = read_good("{\"adapters\": [{\"name\": \"a\", \"device\": \"net_null0\"}]}");
	assert_int_equal(doc->eal.workers[0], second >= 0 ? second : first);
	document_free(doc);
	assert_int_equal(document_keep_cpus(false), 0);

	/* On one CPU the worker shares it. */
	doc = read_good("{\"adapters\": [{\"name\": \"a\", \"device\": \"net_null0\"}]}");
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(doc->eal.main_core, first);
	assert_int_equal(doc->eal.workers[0], first);
	document_free(doc);
}

static void
a_document_with_128_workers_has_too_many(void **state)
{
	char json[2048], *p = json;
	struct doc_findings findings;
	int cpu;

	(void)state;
	p += sprintf(p, "{\"adapters\": [{\"name\": \"a\", \"device\": \"net_null0\"}],"
			"\"eal\": {\"main_core\": 0, \"workers\": [1");
	for (cpu = 2; cpu <= RTE_MAX_LCORE; cpu++)
		p += sprintf(p, ",%d", cpu);
	sprintf(p, "]}}");
	findings = read_bad(json, strlen(json));
	assert_int_equal(findings.count, 1);
	assert_found(&findings, 0, "/eal/workers", "workers are more than", NULL);
	doc_findings_free(&findings);
}

static void
a_device_is_the_same_however_it_is_written(void **state)
{
	static const struct {
		const char *device;
		const char *name;
		bool pci;
	} cases[] = {
		{"0000:03:00.0", "0000:03:00.0", true},
		{"03:00.0", "0000:03:00.0", true},
		{"pci:0000:03:00.0,x=1", "0000:03:00.0", true},
		{"0000:AF:1F.7", "0000:af:1f.7", true},
		{"0001:03:00.0", "0001:03:00.0", true},
		{"10000:03:00.0", "10000:03:00.0", true},
		{"net_tap0,iface=a", "net_tap0", false},
		{"vdev:net_tap0", "net_tap0", false},
		{"0000:03:00.8", "0000:03:00.8", false},
		{"0000:03:20.0", "0000:03:20.0", false},
		{"0000:03:00", "0000:03:00", false},
		{"03:00.0.0", "03:00.0.0", false},
		{"3:0.0", "3:0.0", false},
		{"", "", false},
	};
	char name[DOC_DEVICE_NAME_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < RTE_DIM(cases); i++) {
		doc_device_name(cases[i].device, name);
		assert_string_equal(name, cases[i].name);
		assert_int_equal(doc_device_is_pci(cases[i].device), cases[i].pci);
	}
}

static void
a_cpu_list_is_written_in_ranges(void **state)
{
	char text[128], little[12];
	cpu_set_t cpus;
	int cpu;

	(void)state;
	CPU_ZERO(&cpus);
	assert_string_equal(doc_cpus_text(&cpus, text, sizeof(text)), "");
	CPU_SET(0, &cpus);
	CPU_SET(2, &cpus);
	CPU_SET(3, &cpus);
	CPU_SET(CPU_SETSIZE - 1, &cpus);
	assert_string_equal(doc_cpus_text(&cpus, text, sizeof(text)), "0,2-3,1023");
	for (cpu = 0; cpu < CPU_SETSIZE; cpu += 2)
		CPU_SET(cpu, &cpus);
	assert_string_equal(doc_cpus_text(&cpus, little, sizeof(little)), "0,2-4,6,...");
}

#define TWO_SIZES \
	"{\"eal\": {\"main_core\": 0, \"workers\": [1], \"hugepages\": %s %s}," \
	"\"adapters\": [{\"name\": \"a\", \"device\": \"net_null0\"}]," \
	"\"queues\": [" \
	"{\"name\": \"q1\", \"vm\": \"v\", \"memory\": {\"buffers\": 100000, \"node\": %s}," \
	"\"backend\": {\"type\": \"sink\"}}," \
	"{\"name\": \"q2\", \"vm\": \"v\", \"memory\": {\"buffers\": 100000, \"node\": %s}," \
	"\"backend\": {\"type\": \"ethdev\", \"device\": \"net_null1\"}}]}"

static struct document *
two_sizes(bool hugepages, const char *more, const char *node)
{
	char json[1024];

	snprintf(json, sizeof(json), TWO_SIZES, hugepages ? "true" : "false", more, node, node);
	return read_good(json);
}

static uint64_t
two_sizes_bytes(void)
{
	return 2 * vmq_queue_memory_bytes(100000, 100000, 2048) +
		vmq_queue_memory_bytes(4096, 4096, 2048) +
		vmq_queue_xmit_bytes(VMQ_BACKEND_ETHDEV, 1024, 1024, 1500) + DOC_EAL_MIB * MIB;
}

static void
the_sum_of_memory_is_that_of_its_parts(void **state)
{
	struct document *doc = two_sizes(false, "", "\"any\"");
	char expected[256], *sum;
	uint64_t bytes = vmq_queue_memory_bytes(100000, 100000, 2048);

	(void)state;
	assert_int_equal(doc_needed_bytes(doc), two_sizes_bytes());
	assert_int_equal(document_memory_mb(doc), (two_sizes_bytes() + MIB - 1) / MIB);
	sum = doc_memory_arithmetic(doc, SOCKET_ID_ANY);
	assert_non_null(sum);
	snprintf(expected, sizeof(expected), "2 queues x 100000 buffers x %" PRIu64 " bytes = %.1f MiB",
		bytes / 100000, 2.0 * (double)bytes / MIB);
	assert_non_null(strstr(sum, expected));
	snprintf(expected, sizeof(expected), "together %.1f MiB", (double)two_sizes_bytes() / MIB);
	assert_non_null(strstr(sum, expected));
	free(sum);
	document_free(doc);
}

/* Where a NIC may steer, what its hardware queues are parked with is part of the sum. */
static void
hardware_queues_are_in_the_sum(void **state)
{
	static const struct {
		const char *device, *steering;
		unsigned int queues;
	} cases[] = {
		{"0000:03:00.0", "auto", 3},
		{"0000:03:00.0", "software", 0},
		{"net_tap0", "auto", 3},
		{"net_null0", "auto", 0},
		{"net_null0", "flow", 3},
	};
	char json[512], expected[64], *sum;
	struct document *doc;
	uint64_t one;
	size_t i;

	(void)state;
	one = vmq_slot_memory_bytes(1024, 16384, 2048);
	for (i = 0; i < RTE_DIM(cases); i++) {
		snprintf(json, sizeof(json), "{\"eal\": {\"main_core\": 0, \"workers\": [1]},"
			"\"adapters\": [{\"name\": \"a\", \"device\": \"%s\","
			"\"hardware_queues\": 3, \"steering\": \"%s\"}], \"queues\": []}",
			cases[i].device, cases[i].steering);
		doc = read_good(json);
		assert_int_equal(doc_hardware_queues(doc), cases[i].queues);
		assert_int_equal(doc_needed_bytes(doc), cases[i].queues * one +
			vmq_queue_memory_bytes(4096, 4096, 2048) + DOC_EAL_MIB * MIB);
		sum = doc_memory_arithmetic(doc, SOCKET_ID_ANY);
		snprintf(expected, sizeof(expected), "3 hardware queues, parked = %.1f MiB",
			3.0 * (double)one / MIB);
		assert_int_equal(strstr(sum, expected) != NULL, cases[i].queues > 0);
		free(sum);
		document_free(doc);
	}
}

static void
a_sum_over_32_bits_does_not_wrap(void **state)
{
	struct doc_queue queues[2] = {0};
	struct document doc = {.queues = queues, .n_queues = RTE_DIM(queues)};
	size_t i;

	(void)state;
	for (i = 0; i < RTE_DIM(queues); i++)
		queues[i].memory = (struct doc_memory){DOC_BUFFERS_MAX, DOC_BUFFERS_MAX, 65000, 0, false};
	assert_int_equal(doc_needed_bytes(&doc), DOC_EAL_MIB * MIB +
		2 * (uint64_t)vmq_queue_memory_bytes(DOC_BUFFERS_MAX, DOC_BUFFERS_MAX, 65000));
	assert_true(document_memory_mb(&doc) > 8000000);
}

/* Checks the memory of the machine of files; the one finding or none. */
static struct doc_findings
check_memory(struct document *doc)
{
	struct doc_findings findings = {0};

	doc_check_memory_at(doc, root, &findings);
	document_free(doc);
	return findings;
}

static void
hugepages_that_are_missing_are_counted(void **state)
{
	uint64_t pages = (two_sizes_bytes() + 2 * MIB - 1) / (2 * MIB);
	struct doc_findings findings;
	char text[128];

	(void)state;
	/* Just enough. */
	snprintf(text, sizeof(text), "%" PRIu64, pages);
	put_pages(text, text);
	findings = check_memory(two_sizes(true, "", "\"any\""));
	assert_int_equal(findings.count, 0);

	/* One page less is free; 100 are in use. */
	snprintf(text, sizeof(text), "%" PRIu64, pages - 1);
	put_pages("1000", text);
	findings = check_memory(two_sizes(true, "", "\"any\""));
	assert_int_equal(findings.count, 1);
	assert_found(&findings, 0, "", "2 queues x 100000 buffers",
		"echo 1001 > /proc/sys/vm/nr_hugepages, or set eal.hugepages to false");
	snprintf(text, sizeof(text), "%" PRIu64 " MiB of free hugepages are less than the %u MiB",
		(pages - 1) * 2, (unsigned int)((two_sizes_bytes() + MIB - 1) / MIB));
	assert_found(&findings, 0, "", text, NULL);
	doc_findings_free(&findings);

	/* Reserved pages are free, but for somebody else. */
	snprintf(text, sizeof(text), "%" PRIu64, pages);
	put_pages(text, text);
	put("/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "1");
	findings = check_memory(two_sizes(true, "", "\"any\""));
	assert_int_equal(findings.count, 1);
	doc_findings_free(&findings);

	/* Overcommit gives what is missing, as far as it is not used. */
	put("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages", "3");
	put("/sys/kernel/mm/hugepages/hugepages-2048kB/surplus_hugepages", "2");
	findings = check_memory(two_sizes(true, "", "\"any\""));
	assert_int_equal(findings.count, 0);
	put("/sys/kernel/mm/hugepages/hugepages-2048kB/surplus_hugepages", "3");
	findings = check_memory(two_sizes(true, "", "\"any\""));
	assert_int_equal(findings.count, 1);
	doc_findings_free(&findings);

	/* And pages of another size count as well. */
	put("/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "1");
	findings = check_memory(two_sizes(true, "", "\"any\""));
	assert_int_equal(findings.count, 0);
}

static void
a_machine_without_hugepages_says_so(void **state)
{
	struct doc_findings findings;

	(void)state;
	put("/proc/meminfo", "MemAvailable: 1048576 kB");
	findings = check_memory(two_sizes(true, "", "\"any\""));
	assert_int_equal(findings.count, 1);
	assert_found(&findings, 0, "", "0 MiB of free hugepages", "this kernel has no hugepages");
	doc_findings_free(&findings);
}

static void
memory_mb_is_taken_in_full_from_hugepages(void **state)
{
	struct doc_findings findings;

	(void)state;
	put_pages("1000", "1000");
	findings = check_memory(two_sizes(true, ", \"memory_mb\": 2000", "\"any\""));
	assert_int_equal(findings.count, 0);
	findings = check_memory(two_sizes(true, ", \"memory_mb\": 2001", "\"any\""));
	assert_int_equal(findings.count, 1);
	assert_found(&findings, 0, "", "2001 MiB that eal.memory_mb asks for", "echo 1001 >");
	doc_findings_free(&findings);
}

static void
each_node_must_have_the_pages_of_its_queues(void **state)
{
	struct doc_findings findings;

	(void)state;
	put_pages("2000", "2000");
	findings = check_memory(two_sizes(true, "", "0"));
	assert_int_equal(findings.count, 0);
	put(NODE_PAGES(1) "nr_hugepages", "10");
	put(NODE_PAGES(1) "free_hugepages", "10");
	findings = check_memory(two_sizes(true, "", "1"));
	assert_int_equal(findings.count, 1);
	assert_found(&findings, 0, "", "NUMA node 1 has 20 MiB of free hugepages",
		"> /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages");
	doc_findings_free(&findings);
}

static void
files_of_hugepages_need_a_place(void **state)
{
	struct doc_findings findings;

	(void)state;
	put_pages("2000", "2000");
	put("/proc/mounts", "proc /proc proc rw 0 0\nnone /hugetlbfs tmpfs rw 0 0");
	findings = check_memory(two_sizes(true, ", \"in_memory\": false", "0"));
	assert_int_equal(findings.count, 1);
	assert_found(&findings, 0, "/eal/in_memory", "none is mounted", "mount -t hugetlbfs");
	doc_findings_free(&findings);
	put("/proc/mounts", "proc /proc proc rw 0 0\nnone /dev/hugepages hugetlbfs rw 0 0");
	findings = check_memory(two_sizes(true, ", \"in_memory\": false", "0"));
	assert_int_equal(findings.count, 0);
}

static void
without_hugepages_available_memory_counts(void **state)
{
	uint64_t kib = (two_sizes_bytes() + 1023) / 1024;
	struct doc_findings findings;
	char text[128];

	(void)state;
	snprintf(text, sizeof(text), "MemTotal: 1 kB\nMemAvailable: %" PRIu64 " kB", kib);
	put("/proc/meminfo", text);
	findings = check_memory(two_sizes(false, "", "\"any\""));
	assert_int_equal(findings.count, 0);
	snprintf(text, sizeof(text), "MemTotal: 1 kB\nMemAvailable: %" PRIu64 " kB", kib - 1);
	put("/proc/meminfo", text);
	findings = check_memory(two_sizes(false, "", "\"any\""));
	assert_int_equal(findings.count, 1);
	assert_found(&findings, 0, "", "MiB of available memory are less than", "fewer or smaller");
	doc_findings_free(&findings);
}

static void
check_machine(struct document *doc, struct doc_findings *findings)
{
	cpu_set_t allowed;

	CPU_ZERO(&allowed);
	CPU_SET(0, &allowed);
	CPU_SET(1, &allowed);
	*findings = (struct doc_findings){0};
	doc_check_machine_at(doc, root, &allowed, findings);
	document_free(doc);
}

static void
cpus_must_exist_and_be_allowed(void **state)
{
	static const char adapters[] = "\"adapters\": [{\"name\": \"a\", \"device\": \"net_null0\"}]}";
	struct doc_findings findings;
	char json[256];

	(void)state;
	snprintf(json, sizeof(json), "{\"eal\": {\"main_core\": 0, \"workers\": [1]}, %s", adapters);
	check_machine(read_good(json), &findings);
	assert_int_equal(findings.count, 0);
	snprintf(json, sizeof(json), "{\"eal\": {\"main_core\": 3, \"workers\": [1, 2]}, %s", adapters);
	check_machine(read_good(json), &findings);
	assert_int_equal(findings.count, 2);
	assert_found(&findings, 0, "/eal/main_core", "CPU 3 does not exist",
		"CPUs that this process may use: 0-1");
	assert_found(&findings, 1, "/eal/workers/1", "not allowed to use CPU 2", NULL);
	doc_findings_free(&findings);
}

static void
nodes_must_exist(void **state)
{
	struct doc_findings findings;

	(void)state;
	check_machine(two_sizes(true, "", "0"), &findings);
	assert_int_equal(findings.count, 0);
	check_machine(two_sizes(true, "", "1"), &findings);
	assert_int_equal(findings.count, 2);
	assert_found(&findings, 0, "/queues/0/memory/node", "no NUMA node 1",
		"a node of this machine: 0");
	assert_found(&findings, 1, "/queues/1/memory/node", "no NUMA node 1", NULL);
	doc_findings_free(&findings);

	/* Without hugepages there is no choice of node, unless there is one only. */
	check_machine(two_sizes(false, "", "0"), &findings);
	assert_int_equal(findings.count, 0);
	put("/sys/devices/system/node/node1/cpulist", "2");
	check_machine(two_sizes(false, "", "0"), &findings);
	assert_int_equal(findings.count, 2);
	assert_found(&findings, 0, "/queues/0/memory/node", "without hugepages", NULL);
	doc_findings_free(&findings);
}

static struct document *
on_device(const char *device)
{
	char json[256];

	snprintf(json, sizeof(json), "{\"eal\": {\"main_core\": 0, \"workers\": [1]},"
		"\"adapters\": [{\"name\": \"nic\", \"device\": \"%s\"}]}", device);
	return read_good(json);
}

#define PCI(address, file) "/sys/bus/pci/devices/" address "/" file

static void
pci_devices_must_have_a_driver_for_dpdk(void **state)
{
	struct doc_findings findings;

	(void)state;
	put(PCI("0000:03:00.0", "vendor"), "0x8086");
	put_link(PCI("0000:03:00.0", "driver"), "../../../bus/pci/drivers/ice");
	put(PCI("0000:03:00.1", "vendor"), "0x8086");
	put(PCI("0000:04:00.0", "vendor"), "0x8086");
	put_link(PCI("0000:04:00.0", "driver"), "../../../bus/pci/drivers/vfio-pci");
	put(PCI("0000:05:00.0", "vendor"), "0x15b3");
	put_link(PCI("0000:05:00.0", "driver"), "../../../bus/pci/drivers/mlx5_core");
	put(PCI("0000:05:00.1", "vendor"), "0x15b3");

	check_machine(on_device("0000:04:00.0"), &findings);
	assert_int_equal(findings.count, 0);
	check_machine(on_device("05:00.0,dv_flow_en=1"), &findings);
	assert_int_equal(findings.count, 0);
	check_machine(on_device("03:00.0"), &findings);
	assert_int_equal(findings.count, 1);
	assert_found(&findings, 0, "/adapters/0/device", "is bound to driver ice",
		"dpdk-devbind.py -b vfio-pci 0000:03:00.0");
	doc_findings_free(&findings);
	check_machine(on_device("0000:03:00.1"), &findings);
	assert_int_equal(findings.count, 1);
	assert_found(&findings, 0, "/adapters/0/device", "has no driver", "vfio-pci 0000:03:00.1");
	doc_findings_free(&findings);
	check_machine(on_device("0000:05:00.1"), &findings);
	assert_int_equal(findings.count, 1);
	assert_found(&findings, 0, "/adapters/0/device", "has no driver", "-b mlx5_core 0000:05:00.1");
	doc_findings_free(&findings);
	check_machine(on_device("0000:06:00.0"), &findings);
	assert_int_equal(findings.count, 1);
	assert_found(&findings, 0, "/adapters/0/device",
		"adapter \"nic\": there is no PCI device 0000:06:00.0", "dpdk-devbind.py --status-dev net");
	doc_findings_free(&findings);
}

static void
the_real_machine_has_what_a_small_document_needs(void **state)
{
	struct doc_findings findings = {0};
	struct document *doc;

	(void)state;
	doc = read_good("{\"eal\": {\"hugepages\": false},"
			"\"adapters\": [{\"name\": \"a\", \"device\": \"net_null0\"}]}");
	assert_int_equal(document_check_machine(doc, &findings), 0);
	assert_int_equal(findings.count, 0);
	doc->eal.main_core = CPU_SETSIZE - 1;
	assert_int_equal(document_check_machine(doc, &findings), -ENOSPC);
	assert_int_equal(findings.count, 1);
	doc_findings_free(&findings);
	document_free(doc);
}

/* All of a document as it would be saved. */
static char *
write_back(const struct document *doc)
{
	json_t *all = json_object(), *adapters = json_array(), *queues = json_array();
	char *text;
	size_t i;

	for (i = 0; i < doc->n_adapters; i++)
		assert_int_equal(json_array_append_new(adapters,
			document_adapter_json(doc, &doc->adapters[i])), 0);
	for (i = 0; i < doc->n_queues; i++)
		assert_int_equal(json_array_append_new(queues,
			document_queue_json(doc, &doc->queues[i])), 0);
	assert_int_equal(json_object_set_new(all, "eal", document_eal_json(doc)), 0);
	assert_int_equal(json_object_set_new(all, "adapters", adapters), 0);
	assert_int_equal(json_object_set_new(all, "queues", queues), 0);
	text = json_dumps(all, JSON_INDENT(2));
	assert_non_null(text);
	json_decref(all);
	return text;
}

static void
what_is_written_back_reads_the_same(void **state)
{
	/* Another value than the default for each key, and each form of a value. */
	static const char json[] =
		"{\"eal\": {\"main_core\": 1, \"workers\": [3, 2], \"hugepages\": true,"
		"  \"in_memory\": false, \"memory_mb\": 4096, \"file_prefix\": \"x\","
		"  \"extra_args\": [\"--a\", \"--b\"]},"
		" \"adapters\": [{\"name\": \"a\", \"device\": \"net_null0\"},"
		"  {\"name\": \"b/~\\\"\", \"device\": \"net_null1\", \"rx_descriptors\": 64,"
		"   \"mtu\": 9000, \"memory_limit_mb\": 100, \"default_queue\": {"
		"    \"affinity\": [2], \"keep_tags\": true, \"memory\": {\"buffers\": 3000},"
		"    \"filters\": [{\"vlan\": 7}],"
		"    \"backend\": {\"type\": \"pcap\", \"file\": \"/tmp/x\"}}}],"
		" \"queues\": [{\"name\": \"q\", \"vm\": \"v\", \"adapter\": \"b/~\\\"\","
		"   \"affinity\": [2, 3], \"keep_tags\": true, \"memory\": {\"buffers\": 100,"
		"    \"limit\": 300, \"buffer_size\": 1024, \"node\": 3, \"contiguous\": true,"
		"    \"min_buffers\": 50, \"growth\": {\"low\": 5, \"high\": 99, \"step\": 7,"
		"     \"hold_ms\": 0}},"
		"   \"filters\": [{\"mac\": \"02:00:00:00:00:0a\", \"vlan\": 4094},"
		"    {\"mac\": \"02:00:00:00:00:0B\", \"vlan\": \"untagged\"},"
		"    {\"mac\": \"02:00:00:00:00:0c\"}, {\"vlan\": 1}],"
		"   \"backend\": {\"type\": \"ethdev\", \"device\": \"net_null9,x=y\"}},"
		"  {\"name\": \"plain\", \"vm\": \"v\", \"adapter\": \"a\","
		"   \"backend\": {\"type\": \"sink\"}}]}";
	struct document *doc = read_good(json), *again;
	char *first = write_back(doc), *second;

	(void)state;
	again = read_good(first);
	second = write_back(again);
	assert_string_equal(first, second);
	assert_int_equal(again->eal.main_core, 1);
	assert_int_equal(again->eal.workers[0], 3);
	assert_false(again->eal.in_memory);
	assert_int_equal(again->eal.memory_mb, 4096);
	assert_string_equal(again->eal.extra_args[1], "--b");
	assert_int_equal(again->adapters[1].mtu, 9000);
	assert_int_equal(again->adapters[1].memory_limit_mb, 100);
	assert_int_equal(again->adapters[1].default_queue.memory.buffers, 3000);
	assert_string_equal(again->adapters[1].default_queue.backend.file, "/tmp/x");
	assert_memory_equal(&again->queues[0].memory, &doc->queues[0].memory,
		sizeof(doc->queues[0].memory));
	assert_int_equal(again->queues[0].adapter, 1);
	assert_true(again->queues[0].keep_tags);
	assert_int_equal(again->queues[0].n_filters, 4);
	assert_memory_equal(again->queues[0].filters, doc->queues[0].filters,
		4 * sizeof(doc->queues[0].filters[0]));
	assert_string_equal(again->queues[0].backend.device, "net_null9,x=y");
	assert_int_equal(again->queues[1].memory.min_buffers, 4096);
	free(first);
	free(second);
	document_free(doc);
	document_free(again);
}

#define machine_test(f) cmocka_unit_test_setup_teardown(f, setup_machine, teardown_machine)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pointers_are_those_of_rfc_6901),
		cmocka_unit_test(a_pointer_that_is_too_long_is_cut),
		cmocka_unit_test(the_nearest_word_is_suggested),
		cmocka_unit_test(a_quoted_text_is_cut_between_characters),
		cmocka_unit_test(findings_are_printed_without_control_characters),
		cmocka_unit_test(findings_over_the_limit_are_counted),
		cmocka_unit_test(numbers_that_jansson_refuses_are_tamed_in_place),
		cmocka_unit_test(every_key_given_twice_is_found_where_it_is),
		cmocka_unit_test(duplicates_are_found_at_the_greatest_depth),
		cmocka_unit_test(every_cut_of_a_document_is_refused),
		cmocka_unit_test(every_changed_byte_of_a_document_is_survived),
		cmocka_unit_test(what_a_document_leaves_out_has_its_default),
		cmocka_unit_test(what_is_written_back_reads_the_same),
		cmocka_unit_test(cores_that_are_not_named_are_those_of_the_process),
		cmocka_unit_test(a_document_with_128_workers_has_too_many),
		cmocka_unit_test(a_device_is_the_same_however_it_is_written),
		cmocka_unit_test(a_cpu_list_is_written_in_ranges),
		cmocka_unit_test(the_sum_of_memory_is_that_of_its_parts),
		cmocka_unit_test(hardware_queues_are_in_the_sum),
		cmocka_unit_test(a_sum_over_32_bits_does_not_wrap),
		machine_test(hugepages_that_are_missing_are_counted),
		machine_test(a_machine_without_hugepages_says_so),
		machine_test(memory_mb_is_taken_in_full_from_hugepages),
		machine_test(each_node_must_have_the_pages_of_its_queues),
		machine_test(files_of_hugepages_need_a_place),
		machine_test(without_hugepages_available_memory_counts),
		machine_test(cpus_must_exist_and_be_allowed),
		machine_test(nodes_must_exist),
		machine_test(pci_devices_must_have_a_driver_for_dpdk),
		cmocka_unit_test(the_real_machine_has_what_a_small_document_needs),
	};

	return cmocka_run_group_tests_name("document", tests, NULL, NULL);
}
