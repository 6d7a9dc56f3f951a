/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* Figures as JSON: the same for --stats-json and for the socket. */

#include <stdio.h>
#include <time.h>

#include "rpc_private.h"

/* Every json_*_new() reference goes to its parent; a NULL (no memory) ends in NULL at the top. */

json_t *
rpc_filter(const struct vmq_filter *filter)
{
	const uint8_t *b = filter->match.mac.addr_bytes;
	char mac[18];

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4],
		b[5]);
	return json_pack("{s:I, s:o, s:o}", "id", (json_int_t)filter->id, "mac",
		filter->match.has_mac ? json_string(mac) : json_null(), "vlan",
		filter->match.vlan_test == VMQ_VLAN_ID ? json_integer(filter->match.vlan_id)
			: json_string(filter->match.vlan_test == VMQ_VLAN_UNTAGGED ? "untagged"
									    : "any"));
}

json_t *
rpc_filters(const struct vmq_adapter *adapter, uint16_t queue_id)
{
	const struct vmq_filter_set *set = vmq_adapter_filters(adapter);
	const struct vmq_filter *filter;
	json_t *array = json_array();
	uint32_t after;

	for (after = 0; (filter = vmq_filter_next(set, after)) != NULL; after = filter->id)
		if (filter->queue_id == queue_id)
			json_array_append_new(array, rpc_filter(filter));
	return array;
}

json_t *
rpc_drops(const struct vmq_dp_queue_stats *packets)
{
	json_t *object = json_object();
	unsigned int i;

	for (i = 0; i < VMQ_DROP_COUNT; i++)
		json_object_set_new(object, vmq_drop_name(i),
			json_integer((json_int_t)packets->drops[i]));
	return object;
}

json_t *
rpc_pool(const struct vmq_pool_stats *memory)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "populated",
		(json_int_t)memory->populated, "available", (json_int_t)memory->available,
		"outstanding", (json_int_t)memory->outstanding, "retiring",
		(json_int_t)memory->retiring, "limit", (json_int_t)memory->limit, "bytes",
		(json_int_t)memory->bytes, "blocks", (json_int_t)memory->blocks, "grown",
		(json_int_t)memory->grown, "returned", (json_int_t)memory->returned, "failed",
		(json_int_t)memory->failed);
}

json_t *
rpc_tx_drops(const struct vmq_dp_tx_stats *tx)
{
	json_t *object = json_object();
	unsigned int i;

	for (i = 0; i < VMQ_TX_DROP_COUNT; i++)
		json_object_set_new(object, vmq_tx_drop_name(i),
			json_integer((json_int_t)tx->drops[i]));
	return object;
}

/* What a queue's VM has sent; zeros where the backend receives nothing. */
static json_t *
transmit_json(const struct vmq_queue_info *info)
{
	const struct vmq_dp_tx_stats *tx = &info->transmit;
	return json_pack("{s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:o}",
		"enabled", (int)info->transmits, "anti_spoof", (int)info->anti_spoof, "received",
		(json_int_t)tx->received,
		"received_bytes", (json_int_t)tx->received_bytes, "sent", (json_int_t)tx->sent,
		"sent_bytes", (json_int_t)tx->sent_bytes, "local", (json_int_t)tx->local,
		"local_bytes", (json_int_t)tx->local_bytes, "copies", (json_int_t)tx->copies,
		"dropped", (json_int_t)tx->dropped, "drops", rpc_tx_drops(tx),
		"waiting", (json_int_t)tx->waiting, "buffers", rpc_pool(&info->xmit_memory));
}

json_t *
rpc_buffers(const struct vmq_queue_info *info)
{
	json_t *object = rpc_pool(&info->memory);

	json_object_set_new(object, "size", json_integer((json_int_t)info->buffer_size));
	return object;
}

/* What it is, and whether somebody is at its other end. */
json_t *
rpc_backend(const struct vmq_queue_info *info)
{
	const struct vmq_backend_link *link = &info->backend_link;

	return json_pack("{s:s, s:s, s:I, s:{s:b, s:s, s:I, s:I}}", "type",
		vmq_backend_type_name(info->backend), "text", info->backend_text, "ring_full",
		(json_int_t)info->packets.ring_full, "link", "up", (int)link->up, "text",
		link->text, "changes", (json_int_t)link->changes, "cut_offs",
		(json_int_t)link->cut_offs);
}

/* What its receive queue of the NIC has brought; null: software steers to it. */
static json_t *
hardware_json(const struct vmq_queue_info *info)
{
	const struct vmq_dp_hw_stats *hw = &info->hardware;

	if (info->slot < 0)
		return json_null();
	return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I}", "slot", info->slot, "received",
		(json_int_t)hw->received, "confirmed", (json_int_t)hw->confirmed, "misplaced",
		(json_int_t)hw->misplaced, "replicas", (json_int_t)hw->replicas, "stale",
		(json_int_t)hw->stale);
}

json_t *
vmq_rpc_queue_stats(const struct vmq_rpc_system *system, size_t adapter,
	const struct vmq_queue_info *info, const struct vmq_rpc_rates *rates)
{
	const struct vmq_dp_queue_stats *p = &info->packets;
	const struct vmq_adapter *of = vmq_oid_adapter_beneath(system->adapters[adapter].requests);
	const struct vmq_rpc_rates known = rates != NULL ? *rates
		: system->rates(system->arg, adapter, info->id);

	return json_pack("{s:s, s:i, s:s, s:s?, s:s, s:s, s:i, s:s, s:b, s:o,"
			 " s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:f, s:f,"
			 " s:o, s:o, s:o, s:o}",
		"adapter", vmq_adapter_name(of), "id", (int)info->id, "name", info->name, "vm",
		info->vm[0] != '\0' ? info->vm : NULL, "state", vmq_queue_state_name(info->state),
		"operational_state", vmq_queue_operational_state(info->state), "worker",
		system->worker_cpus[info->worker], "steering",
		info->slot >= 0 ? "hardware" : "software", "keep_tags", (int)info->keep_tags, "filters", rpc_filters(of, info->id), /* */
		"received", (json_int_t)p->received, "received_bytes", (json_int_t)p->received_bytes,
		"delivered", (json_int_t)p->delivered, "delivered_bytes",
		(json_int_t)p->delivered_bytes, "dropped", (json_int_t)p->dropped, "drops",
		rpc_drops(p), "waiting", (json_int_t)p->waiting, "bursts", (json_int_t)p->bursts,
		"mpps", known.mpps, "gbps", known.gbps, /* */
		"buffers", rpc_buffers(info), "transmit", transmit_json(info), /* */
		"backend", rpc_backend(info), /* */
		"hardware", hardware_json(info));
}

json_t *
rpc_adapter_stats(const struct vmq_rpc_adapter *adapter)
{
	const struct vmq_adapter *beneath = vmq_oid_adapter_beneath(adapter->requests);
	struct vmq_port_link link;
	struct vmq_port_stats nic;

	vmq_adapter_port_stats(beneath, &nic);
	vmq_adapter_link(beneath, &link);
	return json_pack("{s:s, s:s, s:{s:b, s:I}, s:{s:I, s:I, s:I, s:I, s:I, s:I}}", "name",
		vmq_adapter_name(beneath), "device", adapter->device, "link", "up", (int)link.up,
		"mbps", (json_int_t)link.mbps, "nic", "received",
		(json_int_t)nic.received, "missed", (json_int_t)nic.missed, "errors",
		(json_int_t)nic.errors, "no_buffer", (json_int_t)nic.no_buffer, "sent",
		(json_int_t)nic.sent, "send_errors", (json_int_t)nic.send_errors);
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
worker_json(const struct vmq_rpc_system *system, uint16_t worker, bool final)
{
	const struct vmq_worker_stats start = {0};
	struct vmq_worker_stats stats;
	struct vmq_worker_load load;

	vmq_worker_stats_get(vmq_host_datapath(system->host), worker, &stats);
	if (final)
		vmq_worker_load_between(&start, &stats, &load);
	else
		vmq_host_worker_load(system->host, worker, &load);
	return json_pack("{s:i, s:s, s:s?, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
			 " s:f, s:f, s:f, s:f, s:f, s:o}",
		"cpu", system->worker_cpus[worker], "mode", vmq_worker_mode_name(stats.mode),
		"fallback", stats.fallback, "max_sleep_us", (int)stats.max_sleep_us, /* */
		"polls", (json_int_t)stats.polls, "idle_polls", (json_int_t)stats.idle_polls,
		"packets", (json_int_t)stats.packets, "bursts", (json_int_t)stats.bursts, "served",
		(json_int_t)stats.served, "cycles", (json_int_t)stats.cycles, "busy_cycles",
		(json_int_t)stats.busy_cycles, "sleep_cycles", (json_int_t)stats.sleep_cycles,
		"sleeps", (json_int_t)stats.sleeps, /* */
		"cycles_per_packet", load.cycles_per_packet, "mean_burst", load.mean_burst, "busy",
		load.busy, "idle", load.idle, "sleep", load.sleep, "profile", profile_json(&stats));
}

json_t *
vmq_rpc_workers(const struct vmq_rpc_system *system, bool final)
{
	const struct vmq_datapath *dp = vmq_host_datapath(system->host);
	json_t *array = json_array();
	uint16_t i;

	for (i = 0; i < vmq_datapath_workers(dp); i++)
		json_array_append_new(array, worker_json(system, i, final));
	return array;
}

json_t *
vmq_rpc_stats(const struct vmq_rpc_system *system, const struct vmq_rpc_stats_params *params)
{
	json_t *adapters = json_array(), *queues = json_array();
	uint64_t received = 0, delivered = 0, dropped = 0, waiting = 0;
	const struct vmq_adapter *beneath;
	struct vmq_queue_info info;
	struct vmq_rpc_rates rates;
	struct timespec now;
	size_t i;
	int id;

	for (i = 0; i < system->n_adapters; i++) {
		json_array_append_new(adapters, rpc_adapter_stats(&system->adapters[i]));
		beneath = vmq_oid_adapter_beneath(system->adapters[i].requests);
		for (id = -1; (id = vmq_queue_next(beneath, id)) >= 0;) {
			if ((params->sees != NULL && !params->sees(params->arg, i, (uint16_t)id)) ||
				!vmq_queue_info_get(beneath, (uint16_t)id, &info))
				continue;
			received += info.packets.received;
			delivered += info.packets.delivered;
			dropped += info.packets.dropped;
			waiting += info.packets.waiting;
			if (params->rates != NULL)
				rates = params->rates(params->arg, i, (uint16_t)id);
			json_array_append_new(queues, vmq_rpc_queue_stats(system, i, &info,
				params->rates != NULL ? &rates : NULL));
		}
	}
	clock_gettime(CLOCK_REALTIME, &now);
	return json_pack("{s:s, s:f, s:f, s:f, s:b, s:o, s:o, s:o, s:{s:I, s:I, s:I, s:I}}",
		"version", system->version, "time", (double)now.tv_sec + (double)now.tv_nsec / 1e9,
		"elapsed_s", params->elapsed_s, "interval_s", params->interval_s, "final",
		(int)params->final, "adapters", adapters, "workers", vmq_rpc_workers(system, params->final),
		"queues", queues, "total", "received", (json_int_t)received, "delivered",
		(json_int_t)delivered, "dropped", (json_int_t)dropped, "waiting",
		(json_int_t)waiting);
}

json_t *
vmq_rpc_queue_buffers(const struct vmq_queue_info *info)
{
	return rpc_buffers(info);
}
