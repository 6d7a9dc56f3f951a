/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include <stdio.h>
#include <time.h>

#include <jansson.h>
#include <rte_common.h>

#include "report.h"

/* Every json_*_new() reference goes to its parent; a NULL (no memory) ends in NULL at the top. */

static json_t *
filters_json(const struct vmq_adapter *adapter, uint16_t queue_id)
{
	const struct vmq_filter_set *set = vmq_adapter_filters(adapter);
	json_t *array = json_array(), *object;
	const struct vmq_filter *filter;
	const uint8_t *b;
	char mac[18];
	uint32_t after;

	for (after = 0; (filter = vmq_filter_next(set, after)) != NULL; after = filter->id) {
		if (filter->queue_id != queue_id)
			continue;
		b = filter->match.mac.addr_bytes;
		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3],
			b[4], b[5]);
		object = json_pack("{s:I, s:o, s:o}", "id", (json_int_t)filter->id, "mac",
			filter->match.has_mac ? json_string(mac) : json_null(), "vlan",
			filter->match.vlan_test == VMQ_VLAN_ID ? json_integer(filter->match.vlan_id)
				: json_string(filter->match.vlan_test == VMQ_VLAN_UNTAGGED
						? "untagged" : "any"));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *
drops_json(const struct vmq_dp_queue_stats *packets)
{
	json_t *object = json_object();
	unsigned int i;

	for (i = 0; i < VMQ_DROP_COUNT; i++)
		json_object_set_new(object, vmq_drop_name(i),
			json_integer((json_int_t)packets->drops[i]));
	return object;
}

/* The CPU that serves a queue. */
static int
worker_cpu(const struct report *report, uint16_t worker)
{
	return report->system->doc->eal.workers[worker];
}

static json_t *
buffers_json(const struct vmq_queue_info *info)
{
	const struct vmq_pool_stats *memory = &info->memory;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "populated",
		(json_int_t)memory->populated, "available", (json_int_t)memory->available,
		"outstanding", (json_int_t)memory->outstanding, "retiring",
		(json_int_t)memory->retiring, "limit", (json_int_t)memory->limit, "size",
		(json_int_t)info->buffer_size, "bytes", (json_int_t)memory->bytes, "blocks",
		(json_int_t)memory->blocks, "grown", (json_int_t)memory->grown, "returned",
		(json_int_t)memory->returned, "failed", (json_int_t)memory->failed);
}

static json_t *
queue_json(const struct report *report, size_t adapter, const struct report_queue *queue)
{
	const struct vmq_queue_info *info = &queue->info;
	const struct vmq_dp_queue_stats *p = &info->packets;
	const struct vmq_adapter *of = report->system->adapters[adapter];

	return json_pack("{s:s, s:i, s:s, s:s?, s:s, s:s, s:i, s:s, s:b, s:o,"
			 " s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:f, s:f,"
			 " s:o, s:{s:s, s:s}}",
		"adapter", vmq_adapter_name(of), "id", (int)info->id, "name", info->name, "vm",
		info->vm[0] != '\0' ? info->vm : NULL, "state", vmq_queue_state_name(info->state),
		"operational_state", vmq_queue_operational_state(info->state), "worker",
		worker_cpu(report, info->worker), "steering", "software", "keep_tags",
		(int)info->keep_tags, "filters", filters_json(of, info->id), /* */
		"received", (json_int_t)p->received, "received_bytes", (json_int_t)p->received_bytes,
		"delivered", (json_int_t)p->delivered, "delivered_bytes",
		(json_int_t)p->delivered_bytes, "dropped", (json_int_t)p->dropped, "drops",
		drops_json(p), "waiting", (json_int_t)p->waiting, "bursts", (json_int_t)p->bursts,
		"mpps", queue->mpps, "gbps", queue->gbps, /* */
		"buffers", buffers_json(info), /* */
		"backend", "type", vmq_backend_type_name(info->backend), "text",
		info->backend_text);
}

static json_t *
adapter_json(const struct report *report, size_t adapter)
{
	struct vmq_port_stats nic;

	vmq_adapter_port_stats(report->system->adapters[adapter], &nic);
	return json_pack("{s:s, s:s, s:{s:I, s:I, s:I, s:I}}", "name",
		vmq_adapter_name(report->system->adapters[adapter]), "device",
		report->system->doc->adapters[adapter].device, "nic", "received",
		(json_int_t)nic.received, "missed", (json_int_t)nic.missed, "errors",
		(json_int_t)nic.errors, "no_buffer", (json_int_t)nic.no_buffer);
}

/* Where the cycles go, since the start. */
static json_t *
profile_json(const struct vmq_worker_stats *stats)
{
	json_t *cycles = json_object();
	unsigned int i;

	for (i = 0; i < VMQ_STAGE_COUNT; i++)
		json_object_set_new(cycles, vmq_stage_name(i),
			json_real(stats->sampled_packets == 0 ? 0 : (double)stats->stage_cycles[i] /
					(double)stats->sampled_packets));
	return json_pack("{s:o, s:{s:f, s:f}, s:I}", "cycles_per_packet", cycles, "mean_burst",
		"received", stats->bursts == 0 ? 0 : (double)stats->packets / (double)stats->bursts,
		"delivered", stats->sampled_bursts == 0 ? 0 : (double)stats->sampled_delivered /
			(double)stats->sampled_bursts, "sampled_packets",
		(json_int_t)stats->sampled_packets);
}

/* Counters are since the start; the shares and means are of the last second, or of it all. */
static json_t *
worker_json(const struct report *report, uint16_t worker, bool final)
{
	const struct vmq_host *host = report->system->host;
	const struct vmq_worker_stats start = {0};
	struct vmq_worker_stats stats;
	struct vmq_worker_load load;

	vmq_worker_stats_get(vmq_host_datapath(host), worker, &stats);
	if (final)
		vmq_worker_load_between(&start, &stats, &load);
	else
		vmq_host_worker_load(host, worker, &load);
	return json_pack("{s:i, s:s, s:s?, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
			 " s:f, s:f, s:f, s:f, s:f, s:o}",
		"cpu", worker_cpu(report, worker), "mode", vmq_worker_mode_name(stats.mode),
		"fallback", stats.fallback, "max_sleep_us", (int)stats.max_sleep_us, /* */
		"polls", (json_int_t)stats.polls, "idle_polls", (json_int_t)stats.idle_polls,
		"packets", (json_int_t)stats.packets, "bursts", (json_int_t)stats.bursts, "served",
		(json_int_t)stats.served, "cycles", (json_int_t)stats.cycles, "busy_cycles",
		(json_int_t)stats.busy_cycles, "sleep_cycles", (json_int_t)stats.sleep_cycles,
		"sleeps", (json_int_t)stats.sleeps, /* */
		"cycles_per_packet", load.cycles_per_packet, "mean_burst", load.mean_burst, "busy",
		load.busy, "idle", load.idle, "sleep", load.sleep, "profile", profile_json(&stats));
}

static json_t *
workers_json(const struct report *report, bool final)
{
	const struct vmq_datapath *dp = vmq_host_datapath(report->system->host);
	json_t *array = json_array();
	uint16_t i;

	for (i = 0; i < vmq_datapath_workers(dp); i++)
		json_array_append_new(array, worker_json(report, i, final));
	return array;
}

void
report_json(const struct report *report, bool final, double elapsed_s, double interval_s)
{
	json_t *adapters = json_array(), *queues = json_array(), *all;
	uint64_t received = 0, delivered = 0, dropped = 0, waiting = 0;
	struct report_queue queue;
	struct timespec now;
	size_t i;
	int id;

	for (i = 0; i < report->system->n_adapters; i++) {
		json_array_append_new(adapters, adapter_json(report, i));
		for (id = -1; (id = vmq_queue_next(report->system->adapters[i], id)) >= 0;) {
			if (!report_queue_get(report, i, id, interval_s, final, &queue))
				continue;
			received += queue.info.packets.received;
			delivered += queue.info.packets.delivered;
			dropped += queue.info.packets.dropped;
			waiting += queue.info.packets.waiting;
			json_array_append_new(queues, queue_json(report, i, &queue));
		}
	}
	clock_gettime(CLOCK_REALTIME, &now);
	all = json_pack("{s:s, s:f, s:f, s:f, s:b, s:o, s:o, s:o, s:{s:I, s:I, s:I, s:I}}",
		"version", VMQ_VERSION, "time", (double)now.tv_sec + (double)now.tv_nsec / 1e9,
		"elapsed_s", elapsed_s, "interval_s", interval_s, "final", (int)final, "adapters",
		adapters, "workers", workers_json(report, final), "queues", queues, "total", "received",
		(json_int_t)received, "delivered", (json_int_t)delivered, "dropped",
		(json_int_t)dropped, "waiting", (json_int_t)waiting);
	if (all == NULL || json_dumpf(all, report->json, JSON_COMPACT) < 0)
		VMQ_LOG(ERR, "statistics of this interval could not be written\n");
	else
		fputc('\n', report->json);
	fflush(report->json);
	json_decref(all);
}
