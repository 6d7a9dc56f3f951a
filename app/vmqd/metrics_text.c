/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/* The figures as text that Prometheus reads (exposition format 0.0.4). */

#include <inttypes.h>

#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_version.h>

#include "metrics.h"

static void
add_head(struct evbuffer *out, const char *name, const char *help, bool counter)
{
	evbuffer_add_printf(out, "# HELP %s %s.\n# TYPE %s %s\n", name, help, name,
		counter ? "counter" : "gauge");
}

/* A label's value may have any character in it, three of them escaped. */
static void
add_label(struct evbuffer *out, const char *name, const char *value)
{
	const char *c;

	evbuffer_add_printf(out, "%s=\"", name);
	for (c = value; *c != '\0'; c++) {
		if (*c == '\\' || *c == '"')
			evbuffer_add_printf(out, "\\%c", *c);
		else if (*c == '\n')
			evbuffer_add_printf(out, "\\n");
		else
			evbuffer_add(out, c, 1);
	}
	evbuffer_add(out, "\"", 1);
}

/* The name of a sample and the labels of its queue, open for more. */
static void
add_queue(struct evbuffer *out, const char *name, const struct figures *figures,
	const struct figures_queue *queue)
{
	evbuffer_add_printf(out, "%s{", name);
	add_label(out, "adapter", figures->adapters[queue->adapter].name);
	evbuffer_add_printf(out, ",id=\"%u\",", (unsigned int)queue->info.id);
	add_label(out, "queue", queue->name);
	evbuffer_add(out, ",", 1);
	add_label(out, "vm", queue->vm);
}

static void
add_value(struct evbuffer *out, const struct figure *figure, const void *item)
{
	uint64_t value = figure_value(figure, item);

	switch (figure->unit) {
	case FIGURE_CYCLES:
		evbuffer_add_printf(out, "} %.6f\n", (double)value / (double)rte_get_tsc_hz());
		break;
	case FIGURE_MICROSECONDS:
		evbuffer_add_printf(out, "} %.6f\n", (double)value / 1e6);
		break;
	case FIGURE_MEGABITS:
		evbuffer_add_printf(out, "} %" PRIu64 "\n", value * 125000);
		break;
	case FIGURE_AS_IS:
		evbuffer_add_printf(out, "} %" PRIu64 "\n", value);
		break;
	}
}

static void
write_figure(struct evbuffer *out, const struct figures *figures, const struct figure *figure)
{
	size_t i;

	add_head(out, figure->name, figure->help, figure->counter);
	for (i = 0; figure->of == FIGURE_OF_QUEUE && i < figures->n_queues; i++) {
		add_queue(out, figure->name, figures, &figures->queues[i]);
		add_value(out, figure, &figures->queues[i]);
	}
	for (i = 0; figure->of == FIGURE_OF_ADAPTER && i < figures->n_adapters; i++) {
		evbuffer_add_printf(out, "%s{", figure->name);
		add_label(out, "adapter", figures->adapters[i].name);
		add_value(out, figure, &figures->adapters[i]);
	}
	/* Two workers may share a CPU: the number tells them apart. */
	for (i = 0; figure->of == FIGURE_OF_WORKER && i < figures->n_workers; i++) {
		evbuffer_add_printf(out, "%s{worker=\"%zu\",cpu=\"%d\"", figure->name, i,
			figures->workers[i].cpu);
		add_value(out, figure, &figures->workers[i]);
	}
}

static void
write_build(struct evbuffer *out, const struct figures *figures __rte_unused,
	double start_s __rte_unused)
{
	add_head(out, "vmq_build_info", "Versions of vmqd and of DPDK; always 1", false);
	evbuffer_add_printf(out, "vmq_build_info{version=\"%s\",dpdk=\"%s\"} 1\n", VMQ_VERSION,
		rte_version());
}

static void
write_start(struct evbuffer *out, const struct figures *figures __rte_unused, double start_s)
{
	add_head(out, "vmq_start_time_seconds", "When this run began, in seconds since 1970", false);
	evbuffer_add_printf(out, "vmq_start_time_seconds %.3f\n", start_s);
}

static void
write_adapters(struct evbuffer *out, const struct figures *figures, double start_s __rte_unused)
{
	size_t i;

	add_head(out, "vmq_adapter_info", "Device of the adapter; always 1", false);
	for (i = 0; i < figures->n_adapters; i++) {
		evbuffer_add_printf(out, "vmq_adapter_info{");
		add_label(out, "adapter", figures->adapters[i].name);
		evbuffer_add(out, ",", 1);
		add_label(out, "device", figures->adapters[i].device);
		evbuffer_add_printf(out, "} 1\n");
	}
}

static void
write_queues(struct evbuffer *out, const struct figures *figures, double start_s __rte_unused)
{
	const struct figures_queue *queue;
	size_t i;

	add_head(out, "vmq_queue_info", "Backend and worker of the queue; always 1", false);
	for (i = 0; i < figures->n_queues; i++) {
		queue = &figures->queues[i];
		add_queue(out, "vmq_queue_info", figures, queue);
		evbuffer_add_printf(out, ",backend=\"%s\",worker=\"%u\",cpu=\"%d\"} 1\n",
			vmq_backend_type_name(queue->info.backend),
			(unsigned int)queue->info.worker,
			figures->workers[queue->info.worker].cpu);
	}
}

static void
write_states(struct evbuffer *out, const struct figures *figures, double start_s __rte_unused)
{
	unsigned int state;
	size_t i;

	add_head(out, "vmq_queue_state", "Is the queue in this state: 1, or not: 0", false);
	for (i = 0; i < figures->n_queues; i++) {
		for (state = 0; state < VMQ_QUEUE_STATE_COUNT; state++) {
			add_queue(out, "vmq_queue_state", figures, &figures->queues[i]);
			evbuffer_add_printf(out, ",state=\"%s\"} %d\n",
				vmq_queue_state_name(state),
				figures->queues[i].info.state == state);
		}
	}
}

static void
write_drops(struct evbuffer *out, const struct figures *figures, double start_s __rte_unused)
{
	unsigned int reason;
	size_t i;

	add_head(out, "vmq_queue_dropped_packets_total",
		"Packets of the queue that were dropped, by reason", true);
	for (i = 0; i < figures->n_queues; i++) {
		for (reason = 0; reason < VMQ_DROP_COUNT; reason++) {
			add_queue(out, "vmq_queue_dropped_packets_total", figures,
				&figures->queues[i]);
			evbuffer_add_printf(out, ",reason=\"%s\"} %" PRIu64 "\n",
				vmq_drop_name(reason),
				figures->queues[i].info.packets.drops[reason]);
		}
	}
}

static void
write_tx_drops(struct evbuffer *out, const struct figures *figures, double start_s __rte_unused)
{
	unsigned int reason;
	size_t i;

	add_head(out, "vmq_queue_transmit_dropped_packets_total",
		"Packets of the queue's VM that were dropped, by reason", true);
	for (i = 0; i < figures->n_queues; i++) {
		for (reason = 0; reason < VMQ_TX_DROP_COUNT; reason++) {
			add_queue(out, "vmq_queue_transmit_dropped_packets_total", figures,
				&figures->queues[i]);
			evbuffer_add_printf(out, ",reason=\"%s\"} %" PRIu64 "\n",
				vmq_tx_drop_name(reason),
				figures->queues[i].info.transmit.drops[reason]);
		}
	}
}

/* Families that are more than one number of one item. */
static void (*const families[])(struct evbuffer *out, const struct figures *figures,
	double start_s) = {
	write_build, write_start, write_adapters, write_queues, write_states, write_drops,
	write_tx_drops,
};

bool
metrics_write_family(struct evbuffer *out, const struct figures *figures, double start_s,
	size_t index)
{
	const struct figure *figure;

	if (index < RTE_DIM(families)) {
		families[index](out, figures, start_s);
		return true;
	}
	figure = figure_get(index - RTE_DIM(families));
	if (figure == NULL)
		return false;
	write_figure(out, figures, figure);
	return true;
}
