/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "vmq_queue.h"

#define U VMQ_QUEUE_UNDEFINED
#define A VMQ_QUEUE_ALLOCATED
#define S VMQ_QUEUE_SET
#define R VMQ_QUEUE_RUNNING
#define P VMQ_QUEUE_PAUSED
#define D VMQ_QUEUE_DMA_STOPPED
#define F VMQ_QUEUE_FREEING
#define X VMQ_QUEUE_STATE_COUNT /* refused */

/* Rows and columns as in "Queue states" of the specification. */
static const uint8_t table[VMQ_EVENT_COUNT][VMQ_QUEUE_STATE_COUNT] = {
	/* state:                          U  A  S  R  P  D  F */
	[VMQ_EVENT_ALLOCATE_QUEUE] =      {A, X, X, X, X, X, X},
	[VMQ_EVENT_QUERY_PARAMETERS] =    {X, A, S, R, P, X, X},
	[VMQ_EVENT_SET_PARAMETERS] =      {X, A, S, R, P, X, X},
	[VMQ_EVENT_SET_FILTER] =          {X, S, S, R, R, X, X},
	[VMQ_EVENT_CLEAR_LAST_FILTER] =   {X, X, A, P, X, X, X},
	[VMQ_EVENT_CLEAR_FILTER] =        {X, X, S, R, X, X, X},
	[VMQ_EVENT_ENUM_FILTERS] =        {X, A, S, R, P, X, X},
	[VMQ_EVENT_FILTER_PARAMETERS] =   {X, X, S, R, X, X, X},
	[VMQ_EVENT_ALLOCATION_COMPLETE] = {X, P, R, X, X, X, X},
	[VMQ_EVENT_RECEIVE] =             {X, X, X, R, X, X, X},
	[VMQ_EVENT_FREE_QUEUE] =          {X, D, X, X, D, X, X},
	[VMQ_EVENT_DMA_STOPPED] =         {X, X, X, X, X, F, X},
	[VMQ_EVENT_RESOURCES_FREED] =     {X, X, X, X, X, X, U},
};

static const char *const state_names[VMQ_QUEUE_STATE_COUNT] = {
	[U] = "Undefined", [A] = "Allocated", [S] = "Set", [R] = "Running", [P] = "Paused",
	[D] = "DmaStopped", [F] = "Freeing",
};

/* The four operational states that NDIS makes public. */
static const char *const operational_names[VMQ_QUEUE_STATE_COUNT] = {
	[U] = "Undefined", [A] = "Paused", [S] = "Paused", [R] = "Running", [P] = "Paused",
	[D] = "DmaStopped", [F] = "DmaStopped",
};

static const char *const event_names[VMQ_EVENT_COUNT] = {
	[VMQ_EVENT_ALLOCATE_QUEUE] = "ALLOCATE_QUEUE",
	[VMQ_EVENT_QUERY_PARAMETERS] = "QUEUE_PARAMETERS query",
	[VMQ_EVENT_SET_PARAMETERS] = "QUEUE_PARAMETERS set",
	[VMQ_EVENT_SET_FILTER] = "SET_FILTER",
	[VMQ_EVENT_CLEAR_LAST_FILTER] = "CLEAR_FILTER (the last one)",
	[VMQ_EVENT_CLEAR_FILTER] = "CLEAR_FILTER",
	[VMQ_EVENT_ENUM_FILTERS] = "ENUM_FILTERS",
	[VMQ_EVENT_FILTER_PARAMETERS] = "FILTER_PARAMETERS",
	[VMQ_EVENT_ALLOCATION_COMPLETE] = "QUEUE_ALLOCATION_COMPLETE",
	[VMQ_EVENT_RECEIVE] = "receive",
	[VMQ_EVENT_FREE_QUEUE] = "FREE_QUEUE",
	[VMQ_EVENT_DMA_STOPPED] = "DMA stopped",
	[VMQ_EVENT_RESOURCES_FREED] = "resources freed",
};

enum vmq_queue_state
vmq_queue_next_state(enum vmq_queue_state state, enum vmq_queue_event event)
{
	if ((unsigned int)state >= VMQ_QUEUE_STATE_COUNT || (unsigned int)event >= VMQ_EVENT_COUNT)
		return X;
	return (enum vmq_queue_state)table[event][state];
}

const char *
vmq_queue_state_name(enum vmq_queue_state state)
{
	return (unsigned int)state < VMQ_QUEUE_STATE_COUNT ? state_names[state] : "?";
}

const char *
vmq_queue_event_name(enum vmq_queue_event event)
{
	return (unsigned int)event < VMQ_EVENT_COUNT ? event_names[event] : "?";
}

const char *
vmq_queue_operational_state(enum vmq_queue_state state)
{
	return (unsigned int)state < VMQ_QUEUE_STATE_COUNT ? operational_names[state] : "?";
}
