/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#include <rte_common.h>

#include "report.h"

/* ECMA-48: cursor to the top left, erase from there to the end of the line / screen. */
#define HOME "\033[H"
#define ERASE_LINE "\033[K"
#define ERASE_BELOW "\033[J"

/* Lines of the table that are not queues. */
#define FRAME_LINES 5
#define LINES_DEFAULT 24

struct cells {
	char mac[40];
	char vlan[16];
	char drops[128];
	char buffers[48];
};

/* The first filter, and how many more there are. */
static void
filter_cells(const struct vmq_adapter *adapter, const struct vmq_queue_info *info,
	struct cells *cells)
{
	const struct vmq_filter_set *set = vmq_adapter_filters(adapter);
	const struct vmq_filter *filter;
	const uint8_t *b;
	uint32_t after = 0;

	snprintf(cells->mac, sizeof(cells->mac), "-");
	snprintf(cells->vlan, sizeof(cells->vlan), "-");
	if (info->n_filters == 0)
		return;
	while ((filter = vmq_filter_next(set, after)) != NULL && filter->queue_id != info->id)
		after = filter->id;
	if (filter == NULL)
		return;
	b = filter->match.mac.addr_bytes;
	if (filter->match.has_mac)
		snprintf(cells->mac, sizeof(cells->mac), "%02x:%02x:%02x:%02x:%02x:%02x", b[0],
			b[1], b[2], b[3], b[4], b[5]);
	else
		snprintf(cells->mac, sizeof(cells->mac), "any");
	if (info->n_filters > 1)
		snprintf(cells->mac + strlen(cells->mac), sizeof(cells->mac) - strlen(cells->mac),
			" +%u", info->n_filters - 1);
	if (filter->match.vlan_test == VMQ_VLAN_ID)
		snprintf(cells->vlan, sizeof(cells->vlan), "%u", filter->match.vlan_id);
	else
		snprintf(cells->vlan, sizeof(cells->vlan), "%s",
			filter->match.vlan_test == VMQ_VLAN_UNTAGGED ? "untagged" : "any");
}

static void
drop_cell(const struct vmq_queue_info *info, struct cells *cells)
{
	size_t used = 0;
	unsigned int i;

	snprintf(cells->drops, sizeof(cells->drops), "0");
	for (i = 0; i < VMQ_DROP_COUNT && used < sizeof(cells->drops); i++)
		if (info->packets.drops[i] > 0)
			used += snprintf(cells->drops + used, sizeof(cells->drops) - used,
				"%s%s:%" PRIu64, used > 0 ? " " : "", vmq_drop_name(i),
				info->packets.drops[i]);
}

static void
print_queue(const struct report *report, size_t adapter, const struct report_queue *queue,
	const char *end)
{
	const struct vmq_queue_info *info = &queue->info;
	struct cells cells;

	filter_cells(report->system->adapters[adapter], info, &cells);
	drop_cell(info, &cells);
	snprintf(cells.buffers, sizeof(cells.buffers), "%u/%u/%u", info->memory.available,
		info->memory.outstanding, info->memory.limit);
	fprintf(report->table, "%-16.16s %-12.12s %-21s %-8s %-9s %9.3f %9.3f %14" PRIu64 " %-18s %s%s",
		info->name, info->vm[0] != '\0' ? info->vm : "-", cells.mac, cells.vlan,
		vmq_queue_state_name(info->state), queue->mpps, queue->gbps,
		info->packets.delivered, cells.buffers, cells.drops, end);
}

/* How many queues fit on the screen. */
static unsigned int
room(const struct report *report)
{
	struct winsize size;

	if (!report->terminal)
		return UINT32_MAX;
	if (ioctl(fileno(report->table), TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
		size.ws_row = LINES_DEFAULT;
	return size.ws_row > FRAME_LINES + 1 ? size.ws_row - FRAME_LINES : 1;
}

void
report_table(const struct report *report, bool final, double elapsed_s, double interval_s)
{
	const char *end = report->terminal ? ERASE_LINE "\n" : "\n";
	uint64_t received = 0, delivered = 0, dropped = 0, waiting = 0;
	unsigned int left = final ? UINT32_MAX : room(report), hidden = 0;
	double mpps = 0, gbps = 0;
	struct report_queue queue;
	size_t i;
	int id;

	if (report->terminal && !final)
		fputs(HOME, report->table);
	fprintf(report->table, "%s%s after %.1f s%s%s", final && report->terminal ? "\n" : "",
		final ? "Summary" : "VMQ", elapsed_s, final ? ", rates over the whole run" : "", end);
	fprintf(report->table, "%-16s %-12s %-21s %-8s %-9s %9s %9s %14s %-18s %s%s", "QUEUE", "VM",
		"MAC", "VLAN", "STATE", "MPPS", "GBIT/S", "DELIVERED", "BUFFERS av/out/lim", "DROPS",
		end);
	for (i = 0; i < report->system->n_adapters; i++) {
		for (id = -1; (id = vmq_queue_next(report->system->adapters[i], id)) >= 0;) {
			if (!report_queue_get(report, i, id, interval_s, final, &queue))
				continue;
			received += queue.info.packets.received;
			delivered += queue.info.packets.delivered;
			dropped += queue.info.packets.dropped;
			waiting += queue.info.packets.waiting;
			mpps += queue.mpps;
			gbps += queue.gbps;
			if (left == 0) {
				hidden++;
				continue;
			}
			left--;
			print_queue(report, i, &queue, end);
		}
	}
	if (hidden > 0)
		fprintf(report->table, "and %u more queues; a larger window shows them%s", hidden, end);
	fprintf(report->table,
		"total: %.3f Mpps, %.3f Gbit/s; received %" PRIu64 " = delivered %" PRIu64
		" + dropped %" PRIu64 " + waiting %" PRIu64 "%s",
		mpps, gbps, received, delivered, dropped, waiting, end);
	if (report->terminal && !final)
		fputs(ERASE_BELOW, report->table);
	else if (!final)
		fputs("\n", report->table);
	fflush(report->table);
}
