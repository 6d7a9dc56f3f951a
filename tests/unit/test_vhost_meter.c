/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

/*
 * VMs whose rings take the worker long, and honest ones whose worker lost its CPU for a
 * moment: lib/backend/vhost_path.c, owe(). And VMs whose rings are full. Bursts are real ones,
 * made longer by spinning.
 */

#include "vm_bed.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/resource.h>

#include <rte_cycles.h>
#include <rte_vhost.h>

#include <vhost_private.h>

/* What a slow VM gets at most: a sixteenth beside what is honest of it. */
#define PART_MAX (1.0 / 8)

/* Chains of 256 descriptors, somewhat exaggerated. */
#define SLOW_PACKET_US 12
#define SLOW_BURST_US 250

/* The first touch of a page. */
#define TOUCH_US 30

#define PATIENCE_US 60000000 /* on a machine that is busy with other things */

/* What each packet of a burst takes longer, and the burst as a whole. */
static uint64_t packet_us, burst_us;
static bool every_second; /* burst of these only */
static uint64_t spun_us; /* since the start of the test */

/*
 * What the system counts is played too: between two looks the worker has always napped, or
 * waited for a page of the VM's. It has lost its CPU to another thread more often than it has,
 * and touched more pages first, if the test says so. A CPU that the host of a virtual machine
 * takes away shows in no count.
 */
static long waits, losses, touches;
static bool loses_cpu;
static long touches_more; /* between two looks */

static void
spin(uint64_t us)
{
	const uint64_t until = rte_rdtsc() + us * (rte_get_tsc_hz() / US_PER_S);

	while (rte_rdtsc() < until)
		;
}

static void
take_long(uint16_t n)
{
	static unsigned int bursts;
	const uint64_t us = every_second && ++bursts % 2 == 0 ? 0 : burst_us + n * packet_us;

	spin(us);
	spun_us += us;
}

uint16_t
rte_vhost_enqueue_burst(int vid, uint16_t ring, struct rte_mbuf **packets, uint16_t n)
{
	static uint16_t (*real)(int, uint16_t, struct rte_mbuf **, uint16_t);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "rte_vhost_enqueue_burst");
	n = real(vid, ring, packets, n);
	take_long(n);
	return n;
}

/* The end of a burst that goes into a ring without librte_vhost. */
int
rte_vhost_set_vring_base(int vid, uint16_t ring, uint16_t next, uint16_t used)
{
	static int (*real)(int, uint16_t, uint16_t, uint16_t);
	uint16_t next_before, used_before;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "rte_vhost_set_vring_base");
	assert_int_equal(rte_vhost_get_vring_base(vid, ring, &next_before, &used_before), 0);
	take_long((uint16_t)(used - used_before));
	return real(vid, ring, next, used);
}

uint16_t
rte_vhost_dequeue_burst(int vid, uint16_t ring, struct rte_mempool *pool,
	struct rte_mbuf **packets, uint16_t n)
{
	static uint16_t (*real)(int, uint16_t, struct rte_mempool *, struct rte_mbuf **, uint16_t);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "rte_vhost_dequeue_burst");
	n = real(vid, ring, pool, packets, n);
	take_long(n);
	return n;
}

int
getrusage(__rusage_who_t who, struct rusage *usage)
{
	static int (*real)(__rusage_who_t, struct rusage *);

	assert_int_equal(who, RUSAGE_THREAD);
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "getrusage");
	assert_int_equal(real(who, usage), 0);
	losses += loses_cpu;
	touches += touches_more;
	usage->ru_nvcsw = ++waits;
	usage->ru_nivcsw += losses;
	usage->ru_minflt += touches;
	return 0;
}

static int
begin(void **state)
{
	(void)state;
	packet_us = burst_us = spun_us = 0;
	every_second = loses_cpu = false;
	touches_more = 0;
	return 0;
}

/* A full burst each way, if the backend has one. */
struct way {
	const char *name;
	uint16_t (*burst)(struct vm_bed *bed);
};

static uint16_t
burst_to_vm(struct vm_bed *bed)
{
	uint16_t n = vm_bed_offer(bed, VMQ_BURST);

	assert_int_equal(vm_bed_take(bed), n);
	return n;
}

static uint16_t
burst_from_vm(struct vm_bed *bed)
{
	vm_bed_send(bed, VMQ_BURST); /* as far as there is room */
	return vm_bed_receive(bed);
}

static const struct way ways[] = {
	{"to the VM", burst_to_vm},
	{"from the VM", burst_from_vm},
};

static uint64_t
now_us(void)
{
	return rte_rdtsc() / (rte_get_tsc_hz() / US_PER_S);
}

static void
assert_full(struct vm_bed *bed, const struct way *way, unsigned int round)
{
	uint16_t n = way->burst(bed);

	if (n != VMQ_BURST)
		fail_msg("round %u: %u packets %s, not %u", round, n, way->name, VMQ_BURST);
}

static uint32_t
cut_offs(const struct vm_bed *bed)
{
	struct vmq_backend_link link;

	vmq_backend_link_get(bed->backend, &link);
	return link.cut_offs;
}

/* Have both sides touch all of the VM's buffers, and be forgiven what that took. */
static struct vm_bed *
make_warm_bed(void)
{
	struct vm_bed *bed = vm_bed_make(false);
	unsigned int i, packets;
	uint16_t n;

	for (i = 0; i < RTE_DIM(ways); i++)
		for (packets = 0; packets < 2 * VM_BED_BUFFERS; packets += n) {
			n = ways[i].burst(bed);
			spin(5);
		}
	spin(100000);
	/* From single packets to full bursts. */
	for (i = 0; i < RTE_DIM(ways); i++)
		while (ways[i].burst(bed) < VMQ_BURST)
			;
	return bed;
}

/* A host that lends the CPU to others for 4 ms, again and again, always amid a burst. */
static void
bursts_that_are_slow_now_and_then_lead_to_no_pause(void **state)
{
	struct vm_bed *bed = make_warm_bed();
	unsigned int round, i;
	uint64_t until;

	(void)state;
	for (i = 0; i < RTE_DIM(ways); i++) {
		for (round = 0; round < 60; round++) {
			burst_us = 4000;
			assert_full(bed, &ways[i], round);
			burst_us = 0;
			until = now_us() + 4000;
			do {
				assert_full(bed, &ways[i], round);
			} while (now_us() < until);
		}
	}
	assert_int_equal(cut_offs(bed), 0);
	vm_bed_free(bed);
}

static void
bursts_amid_which_another_thread_had_the_cpu_lead_to_no_pause(void **state)
{
	struct vm_bed *bed = make_warm_bed();
	unsigned int round, i;

	(void)state;
	loses_cpu = true;
	burst_us = 1000;
	for (i = 0; i < RTE_DIM(ways); i++)
		for (round = 0; round < 100; round++)
			assert_full(bed, &ways[i], round);
	assert_int_equal(cut_offs(bed), 0);
	vm_bed_free(bed);
}

/*
 * Burst after burst for half a second and until there were pauses, which on a busy machine
 * takes longer: while the worker has no CPU the VM takes none of it. Returns which part of
 * the time the bursts took, as spun.
 */
static double
part_of_time(struct vm_bed *bed, const struct way *way)
{
	const uint64_t start = now_us(), spun = spun_us;
	unsigned int pauses = 0;
	double part;

	while (now_us() - start < 500000 || pauses < 100) {
		assert_true(now_us() - start < PATIENCE_US);
		pauses += way->burst(bed) == 0;
		spin(5); /* the worker has others to serve */
	}
	part = (double)(spun_us - spun) / (double)(now_us() - start);
	print_message("# %s: %.3f of the time, %u pauses\n", way->name, part, pauses);
	return part;
}

static void
a_vm_whose_every_burst_is_slow_has_a_small_part_of_the_time(void **state)
{
	struct vm_bed *bed;
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(ways); i++) {
		bed = vm_bed_make(false);
		packet_us = SLOW_PACKET_US;
		assert_true(part_of_time(bed, &ways[i]) < PART_MAX);
		packet_us = 0;
		assert_int_equal(cut_offs(bed), 0);
		vm_bed_free(bed);
	}
}

/* Honest bursts among them, for full ones again. */
static void
a_vm_whose_every_second_burst_is_slow_has_a_small_part_of_the_time(void **state)
{
	struct vm_bed *bed;
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(ways); i++) {
		bed = vm_bed_make(false);
		burst_us = SLOW_BURST_US;
		every_second = true;
		assert_true(part_of_time(bed, &ways[i]) < PART_MAX);
		every_second = false;
		burst_us = 0;
		vm_bed_free(bed);
	}
}

static bool
gives_full_bursts(void *arg)
{
	unsigned int round;

	for (round = 0; round < 100; round++)
		if (burst_to_vm(arg) != VMQ_BURST)
			return false;
	return true;
}

static void
a_vm_that_is_honest_again_has_full_bursts_again(void **state)
{
	struct vm_bed *bed = vm_bed_make(false);
	uint64_t start;

	(void)state;
	packet_us = SLOW_PACKET_US;
	part_of_time(bed, &ways[0]);
	packet_us = 0;
	start = now_us();
	assert_true(unit_wait(gives_full_bursts, bed));
	print_message("# full bursts again after %u us\n", (unsigned int)(now_us() - start));
	/* What it owes is forgiven: a slow burst is nobody's fault again. */
	spin(100000);
	burst_us = 4000;
	assert_full(bed, &ways[0], 0);
	burst_us = 0;
	assert_full(bed, &ways[0], 1);
	assert_int_equal(cut_offs(bed), 0);
	vm_bed_free(bed);
}

static void
a_vm_that_goes_on_being_slow_is_cut_off(void **state)
{
	struct vm_bed *bed = vm_bed_make(false);
	const uint64_t start = now_us();
	struct vmq_backend_link link;

	(void)state;
	packet_us = SLOW_PACKET_US;
	while (cut_offs(bed) == 0) {
		assert_true(now_us() - start < PATIENCE_US);
		vm_bed_offer(bed, VMQ_BURST);
		vm_bed_take(bed);
	}
	/* Not before three seconds of that. */
	assert_true(now_us() - start > 2500000);
	vmq_backend_link_get(bed->backend, &link);
	if (strstr(link.text, "its rings take the worker too long") == NULL)
		fail_msg("\"%s\" does not say why", link.text);
	vm_bed_free(bed);
}

/* Slow bursts for so long, or until the VM is cut off. Returns how many pauses there were. */
static unsigned int
be_slow(struct vm_bed *bed, uint64_t us)
{
	const uint64_t start = now_us();
	unsigned int pauses = 0;

	while (cut_offs(bed) == 0 && now_us() - start < us) {
		pauses += vm_bed_offer(bed, VMQ_BURST) == 0;
		vm_bed_take(bed);
	}
	return pauses;
}

/*
 * The memory of a VM that has just started is mapped page by page, as it is touched. That takes
 * long and does no harm; but pages that are new all the time are no excuse.
 */
static void
a_vm_is_cut_off_for_new_pages_only_when_it_cannot_have_more(void **state)
{
	struct vm_bed *bed = vm_bed_make(false);
	_Atomic uint64_t *cold = &vhost_of(bed->backend)->cold_cycles;

	(void)state;
	/* Memory of some pages at least was given. */
	assert_true(atomic_load(cold) > VM_BED_BUFFERS / 2 * TOUCH_US * (rte_get_tsc_hz() / US_PER_S));
	packet_us = SLOW_PACKET_US;
	touches_more = VMQ_BURST;
	assert_true(be_slow(bed, 4500000) > 100);
	assert_int_equal(cut_offs(bed), 0);

	/* All have been touched. */
	atomic_store(cold, 0);
	be_slow(bed, PATIENCE_US);
	assert_int_equal(cut_offs(bed), 1);
	vm_bed_free(bed);
}

/*
 * 10 ns for each of its descriptors. Who asks all the time is let through no more often than
 * that, and what the VM has made room for is found.
 */
static void
a_ring_that_is_full_is_left_alone_for_a_moment(void **state)
{
	struct vm_bed *bed = vm_bed_make(false);
	const uint64_t pause = rte_get_tsc_hz() / 100000000 * VM_BED_RING;
	struct vmq_backend_stats stats;
	unsigned int asked = 0, let_through, most;
	uint64_t start, full, last, now, asking = 0;

	(void)state;
	while (vm_bed_offer(bed, VMQ_BURST) > 0)
		;
	vmq_backend_stats_get(bed->backend, &stats);
	full = stats.ring_full;
	start = last = rte_rdtsc();
	/* Without the time in which this thread has lost its CPU. */
	for (; asking < 1000 * pause; asked++, last = now) {
		assert_int_equal(vm_bed_offer(bed, 1), 0);
		now = rte_rdtsc();
		asking += RTE_MIN(now - last, pause);
	}
	most = (unsigned int)((rte_rdtsc() - start) / pause) + 1;
	vmq_backend_stats_get(bed->backend, &stats);
	let_through = (unsigned int)(stats.ring_full - full);
	print_message("# asked %u times, let through %u, at most %u\n", asked, let_through, most);
	/* The pause grows while there is no room, and not for ever. */
	assert_in_range(let_through, 1000 / 32, most);

	assert_int_equal(vm_bed_take(bed), VM_BED_RING);
	while (vm_bed_offer(bed, 1) == 0)
		assert_true(rte_rdtsc() - start < PATIENCE_US * (rte_get_tsc_hz() / US_PER_S));
	vm_bed_free(bed);
}

#define meter_test(f) cmocka_unit_test_setup_teardown(f, begin, vm_bed_abandon)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		meter_test(bursts_that_are_slow_now_and_then_lead_to_no_pause),
		meter_test(bursts_amid_which_another_thread_had_the_cpu_lead_to_no_pause),
		meter_test(a_vm_whose_every_burst_is_slow_has_a_small_part_of_the_time),
		meter_test(a_vm_whose_every_second_burst_is_slow_has_a_small_part_of_the_time),
		meter_test(a_vm_that_is_honest_again_has_full_bursts_again),
		meter_test(a_vm_that_goes_on_being_slow_is_cut_off),
		meter_test(a_vm_is_cut_off_for_new_pages_only_when_it_cannot_have_more),
		meter_test(a_ring_that_is_full_is_left_alone_for_a_moment),
	};

	return cmocka_run_group_tests_name("vhost meter", tests, unit_start, unit_stop);
}
