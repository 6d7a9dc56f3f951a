/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 */

#include "vm_bed.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_errno.h>

#include <vmq_backend.h>

/*
 * The sockets of vhost-user backends, and what is counted of VMs' rings; what goes over them is
 * tested with VMs (tests/vm).
 */

#define BUFFERS 256

static char *path;

static int
set_path(void **state)
{
	(void)state;
	path = unit_path("vm.sock");
	unlink(path);
	return path == NULL ? -1 : 0;
}

static int
free_path(void **state)
{
	(void)state;
	unlink(path);
	free(path);
	return 0;
}

static struct vmq_backend *
open_vhost(const struct vmq_backend_vhost *vhost, struct vmq_error *err)
{
	const struct vmq_backend_params params = {
		.type = VMQ_BACKEND_VHOST,
		.vhost = *vhost,
		.socket_id = SOCKET_ID_ANY,
	};

	return vmq_backend_open(&params, err);
}

static void
assert_refused(const struct vmq_backend_vhost *vhost, int errnum, const char *words)
{
	struct vmq_error err = {""};

	assert_null(open_vhost(vhost, &err));
	assert_int_equal(rte_errno, errnum);
	if (strstr(err.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void
close_backend(struct vmq_backend *backend)
{
	assert_int_equal(vmq_backend_drain(backend, NULL), 0);
	vmq_backend_close(backend);
}

/* A socket that is bound; listens if somebody is to be there. */
static int
bind_socket(bool listening)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (listening)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static int
connect_socket(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void
what_cannot_be_is_refused_with_the_reason(void **state)
{
	char longer[VMQ_VHOST_SOCKET_MAX + 2];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_refused(&(struct vmq_backend_vhost){.socket = longer, .server = true}, ENAMETOOLONG,
		"a path of 108 bytes");
	assert_refused(&(struct vmq_backend_vhost){.socket = path, .server = true,
		.owner = "nobody-of-that-name"}, EINVAL, "there is no user \"nobody-of-that-name\"");
	assert_refused(&(struct vmq_backend_vhost){.socket = path, .server = true,
		.group = "4294967296"}, EINVAL, "there is no group \"4294967296\"");
	assert_refused(&(struct vmq_backend_vhost){.socket = path,
		.queue_pairs = VMQ_VHOST_PAIRS_MAX + 1}, EINVAL, "17 queue pairs, at most 16");
	assert_refused(&(struct vmq_backend_vhost){.socket = "/nowhere/vm.sock", .server = true},
		EIO, "/nowhere/vm.sock");
	assert_int_equal(access(path, F_OK), -1);
}

static void
a_file_in_the_way_is_left_alone(void **state)
{
	FILE *file = fopen(path, "w");

	(void)state;
	assert_non_null(file);
	fclose(file);
	assert_refused(&(struct vmq_backend_vhost){.socket = path, .server = true}, EEXIST,
		"there is a file of that name");
	assert_int_equal(access(path, F_OK), 0);
}

static void
somebody_elses_socket_is_left_alone(void **state)
{
	int fd = bind_socket(true);

	(void)state;
	assert_refused(&(struct vmq_backend_vhost){.socket = path, .server = true}, EADDRINUSE,
		"another process listens there already");
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
}

static void
a_dead_socket_is_replaced_and_the_own_one_removed(void **state)
{
	struct vmq_error err = {""};
	struct vmq_backend *backend;
	struct stat st;

	(void)state;
	close(bind_socket(false));
	backend = open_vhost(&(struct vmq_backend_vhost){.socket = path, .server = true}, &err);
	if (backend == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, VMQ_VHOST_PERMISSIONS_DEFAULT);
	close_backend(backend);
	assert_int_equal(access(path, F_OK), -1);
}

static void
owner_group_and_permissions_are_set(void **state)
{
	struct vmq_error err = {""};
	struct vmq_backend *backend;
	char owner[16], group[16];
	struct stat st;

	(void)state;
	snprintf(owner, sizeof(owner), "%u", geteuid() == 0 ? 12345 : geteuid());
	snprintf(group, sizeof(group), "%u", geteuid() == 0 ? 23456 : getegid());
	backend = open_vhost(&(struct vmq_backend_vhost){.socket = path, .server = true,
		.owner = owner, .group = group, .permissions = 0606}, &err);
	if (backend == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, atoi(owner));
	assert_int_equal(st.st_gid, atoi(group));
	assert_int_equal(st.st_mode & 0777, 0606);
	close_backend(backend);
}

static void
while_nobody_is_there_packets_are_counted_and_come_home(void **state)
{
	struct rte_mempool *pool = unit_pool("vhost", BUFFERS, 128);
	struct rte_mbuf *packets[VMQ_BURST];
	struct vmq_backend_stats stats;
	struct vmq_backend_link link;
	struct vmq_error err = {""};
	struct vmq_backend *backend;
	uint8_t bytes[60] = {0};
	unsigned int i;

	(void)state;
	backend = open_vhost(&(struct vmq_backend_vhost){.socket = path}, &err);
	if (backend == NULL)
		fail_msg("%s", err.text);
	assert_true(vmq_backend_receives(backend));
	assert_false(vmq_backend_holds(backend));
	vmq_backend_link_get(backend, &link);
	assert_false(link.up);
	assert_non_null(strstr(link.text, "not connected"));
	assert_int_equal(vmq_backend_rx_burst(backend, pool, packets, VMQ_BURST), 0);

	for (i = 0; i < VMQ_BURST; i++)
		packets[i] = unit_packet(pool, bytes, sizeof(bytes));
	assert_int_equal(vmq_backend_tx_burst(backend, packets, VMQ_BURST), VMQ_BURST);
	unit_assert_pool_full(pool);
	vmq_backend_stats_get(backend, &stats);
	assert_int_equal(stats.disconnected, VMQ_BURST);
	assert_int_equal(stats.disconnected_bytes, VMQ_BURST * sizeof(bytes));
	assert_int_equal(stats.failed, 0);
	close_backend(backend);
	rte_mempool_free(pool);
}

static bool
says(void *arg)
{
	struct vmq_backend_link link;

	vmq_backend_link_get(((void **)arg)[0], &link);
	return strstr(link.text, ((void **)arg)[1]) != NULL;
}

static void
wait_until_it_says(struct vmq_backend *backend, const char *words)
{
	void *arg[] = {backend, (void *)(uintptr_t)words};

	if (!unit_wait(says, arg)) {
		struct vmq_backend_link link;

		vmq_backend_link_get(backend, &link);
		fail_msg("\"%s\" does not say \"%s\"", link.text, words);
	}
}

static void
the_link_says_why_nobody_is_there(void **state)
{
	struct vmq_error err = {""};
	struct vmq_backend *backend;
	int listener, fd;

	(void)state;
	backend = open_vhost(&(struct vmq_backend_vhost){.socket = path}, &err);
	if (backend == NULL)
		fail_msg("%s", err.text);
	wait_until_it_says(backend, "No such file or directory");
	fd = bind_socket(false);
	wait_until_it_says(backend, "nobody listens");
	assert_int_equal(listen(fd, 1), 0);
	listener = fd;
	wait_until_it_says(backend, "driver has not started");
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	close(listener);
	unlink(path);
	close(fd);
	wait_until_it_says(backend, "No such file or directory");
	close_backend(backend);
}

static void
a_connection_that_hangs_does_not_hold_up_the_end(void **state)
{
	const uint32_t half[3] = {2, 1, 8}; /* SET_FEATURES, and no features */
	struct vmq_error err = {""};
	struct vmq_backend *backend;
	int fd;

	(void)state;
	backend = open_vhost(&(struct vmq_backend_vhost){.socket = path, .server = true}, &err);
	if (backend == NULL)
		fail_msg("%s", err.text);
	fd = connect_socket();
	wait_until_it_says(backend, "driver has not started");
	assert_int_equal(write(fd, half, sizeof(half)), sizeof(half));
	close_backend(backend);
	close(fd);
}

static uint64_t
malformed(const struct vm_bed *bed)
{
	struct vmq_backend_stats stats;

	vmq_backend_stats_get(bed->backend, &stats);
	return stats.malformed;
}

/* The first one of all, one after others, some in a row. */
static void
each_frame_of_a_split_ring_that_librte_vhost_drops_is_counted(void **state)
{
	struct vm_bed *bed = vm_bed_make(false);

	(void)state;
	vm_bed_send_too_long(bed);
	assert_int_equal(vm_bed_receive(bed), 0);
	assert_int_equal(malformed(bed), 1);
	assert_int_equal(vm_bed_send(bed, 5), 5);
	vm_bed_send_too_long(bed);
	assert_int_equal(vm_bed_send(bed, 3), 3);
	assert_int_equal(vm_bed_receive(bed), 5);
	assert_int_equal(malformed(bed), 2);
	assert_int_equal(vm_bed_receive(bed), 3);
	assert_int_equal(vm_bed_receive(bed), 0);
	assert_int_equal(malformed(bed), 2);
	vm_bed_send_too_long(bed);
	vm_bed_send_too_long(bed);
	assert_int_equal(vm_bed_receive(bed) + vm_bed_receive(bed), 0);
	assert_int_equal(malformed(bed), 4);
	vm_bed_free(bed);
}

static void
a_frame_of_a_packed_ring_that_librte_vhost_drops_is_counted_if_it_comes_alone(void **state)
{
	struct vm_bed *bed = vm_bed_make(true);

	(void)state;
	vm_bed_send_too_long(bed);
	assert_int_equal(vm_bed_receive(bed), 0);
	assert_int_equal(malformed(bed), 1);
	assert_int_equal(vm_bed_send(bed, 5), 5);
	assert_int_equal(vm_bed_receive(bed), 5);
	assert_int_equal(vm_bed_receive(bed), 0);
	assert_int_equal(malformed(bed), 1);
	vm_bed_send_too_long(bed);
	assert_int_equal(vm_bed_receive(bed), 0);
	assert_int_equal(malformed(bed), 2);
	vm_bed_free(bed);
}

int
main(void)
{
#define WITH_PATH(test) cmocka_unit_test_setup_teardown(test, set_path, free_path)
	const struct CMUnitTest tests[] = {
		WITH_PATH(what_cannot_be_is_refused_with_the_reason),
		WITH_PATH(a_file_in_the_way_is_left_alone),
		WITH_PATH(somebody_elses_socket_is_left_alone),
		WITH_PATH(a_dead_socket_is_replaced_and_the_own_one_removed),
		WITH_PATH(owner_group_and_permissions_are_set),
		WITH_PATH(while_nobody_is_there_packets_are_counted_and_come_home),
		WITH_PATH(the_link_says_why_nobody_is_there),
		WITH_PATH(a_connection_that_hangs_does_not_hold_up_the_end),
		cmocka_unit_test_teardown(each_frame_of_a_split_ring_that_librte_vhost_drops_is_counted,
			vm_bed_abandon),
		cmocka_unit_test_teardown(
			a_frame_of_a_packed_ring_that_librte_vhost_drops_is_counted_if_it_comes_alone,
			vm_bed_abandon),
	};

	return cmocka_run_group_tests_name("vhost", tests, unit_start, unit_stop);
}
