/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#ifndef VMQ_QUEUE_STATE_H
#define VMQ_QUEUE_STATE_H

/**
 * @file
 * The states of a queue, as a pure function over one table. Part of vmq_queue.h.
 *
 *                  SET_FILTER          ALLOCATION_COMPLETE
 *      Allocated ------------> Set -------------------------> Running
 *        |   ^                  |                              |   ^
 *        |   +------------------+            last CLEAR_FILTER |   | SET_FILTER
 *        |    last CLEAR_FILTER                                v   |
 *        +--------- ALLOCATION_COMPLETE ---------------------> Paused
 *        |                                                     |
 *        +--- FREE_QUEUE ---> DmaStopped ---> Freeing <--------+ FREE_QUEUE
 *                              (indicated)     (all packets home) ---> Undefined
 *
 * The table with every event is in state.c; an event without an entry is refused
 * with VMQ_STATUS_NOT_ACCEPTED and changes nothing (spec: Queue states).
 */

/** The seven states of a queue. */
enum vmq_queue_state {
	VMQ_QUEUE_UNDEFINED,
	VMQ_QUEUE_ALLOCATED,
	VMQ_QUEUE_SET,
	VMQ_QUEUE_RUNNING,
	VMQ_QUEUE_PAUSED,
	VMQ_QUEUE_DMA_STOPPED,
	VMQ_QUEUE_FREEING,
	VMQ_QUEUE_STATE_COUNT, /* not a state; the answer to an event that is refused */
};

/** What may happen to a queue: rows of the table in the specification. */
enum vmq_queue_event {
	VMQ_EVENT_ALLOCATE_QUEUE,
	VMQ_EVENT_QUERY_PARAMETERS,
	VMQ_EVENT_SET_PARAMETERS,
	VMQ_EVENT_SET_FILTER,
	VMQ_EVENT_CLEAR_LAST_FILTER,
	VMQ_EVENT_CLEAR_FILTER, /**< Not the last one. */
	VMQ_EVENT_ENUM_FILTERS,
	VMQ_EVENT_FILTER_PARAMETERS,
	VMQ_EVENT_ALLOCATION_COMPLETE,
	VMQ_EVENT_RECEIVE,
	VMQ_EVENT_FREE_QUEUE,
	VMQ_EVENT_DMA_STOPPED, /**< DMA has stopped and that was indicated. */
	VMQ_EVENT_RESOURCES_FREED, /**< All packets are home, all resources free. */
	VMQ_EVENT_COUNT, /* not an event */
};

/**
 * The state table, a pure function.
 *
 * @return the next state, or VMQ_QUEUE_STATE_COUNT: the event is not valid there.
 */
enum vmq_queue_state vmq_queue_next_state(enum vmq_queue_state state, enum vmq_queue_event event);

/** "Allocated", "DmaStopped"... */
const char *vmq_queue_state_name(enum vmq_queue_state state);

/** "SET_FILTER"... */
const char *vmq_queue_event_name(enum vmq_queue_event event);

/** The public operational state: "Undefined", "Running", "Paused" or "DmaStopped". */
const char *vmq_queue_operational_state(enum vmq_queue_state state);

#endif /* VMQ_QUEUE_STATE_H */
