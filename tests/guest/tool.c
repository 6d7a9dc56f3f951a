/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The VMQ authors
 *
 * What tests need inside a guest and busybox has not:
 *
 *	vmq-tool connect DEVICE SOCKET	join a port to the host and a UNIX socket
 *	vmq-tool send INTERFACE PCAP	send the frames of a capture file, as they are
 *	vmq-tool forget RESOURCE MAC	have an 82576 not know an address any more, behind the
 *					back of its driver
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/ether.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <arpa/inet.h>

/* How often, and with which pauses, a socket is tried to be reached. */
#define CONNECT_TRIES 1200
#define CONNECT_US 50000

static void __attribute__((noreturn))
fail(const char *what)
{
	fprintf(stderr, "vmq-tool: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Pass on what has come. Returns false at the end of the stream. */
static bool
pass(int from, int to)
{
	char data[16384];
	ssize_t n = read(from, data, sizeof(data)), done, part;

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	for (done = 0; done < n; done += part) {
		part = write(to, data + done, (size_t)(n - done));
		if (part < 0)
			fail("write");
	}
	return true;
}

static int
connect_port(const char *device, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct pollfd fds[2] = {{.events = POLLIN}, {.events = POLLIN}};
	unsigned int tries = 0;

	fds[0].fd = open(device, O_RDWR | O_CLOEXEC);
	if (fds[0].fd < 0)
		fail(device);
	fds[1].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		fail(path);
	}
	strcpy(address.sun_path, path);
	if (fds[1].fd < 0)
		fail("socket");
	/* Who is to listen there may be starting; one that was killed has left its socket. */
	for (; connect(fds[1].fd, (struct sockaddr *)&address, sizeof(address)) < 0; tries++) {
		if ((errno != ENOENT && errno != ECONNREFUSED) || tries == CONNECT_TRIES)
			fail(path);
		usleep(CONNECT_US);
	}
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			fail("poll");
		/* While nobody is at the host's end of the port, a read ends at once. */
		if (fds[0].revents != 0 && !pass(fds[0].fd, fds[1].fd))
			usleep(20000);
		if (fds[1].revents != 0 && !pass(fds[1].fd, fds[0].fd))
			return 0;
	}
}

static int
send_frames(const char *interface, const char *path)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET};
	static uint8_t frame[65536];
	uint32_t header[6], record[4]; /* as our own test writes it: this machine's order */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	FILE *file = fopen(path, "rbe");
	unsigned long n = 0;

	if (fd < 0)
		fail("socket");
	if (file == NULL || fread(header, sizeof(header), 1, file) != 1)
		fail(path);
	address.sll_ifindex = (int)if_nametoindex(interface);
	if (address.sll_ifindex == 0)
		fail(interface);
	while (fread(record, sizeof(record), 1, file) == 1) {
		if (record[2] > sizeof(frame) || fread(frame, record[2], 1, file) != 1)
			fail(path);
		memcpy(&address.sll_protocol, frame + 12, sizeof(address.sll_protocol));
		if (sendto(fd, frame, record[2], 0, (struct sockaddr *)&address,
				sizeof(address)) != (ssize_t)record[2])
			fail(interface);
		n++;
	}
	printf("%lu\n", n);
	return 0;
}

/* Receive address registers of the 82576's data sheet: low half, and high half with a flag. */
#define RAL(i) ((i) < 16 ? 0x5400u + 8 * (i) : 0x54e0u + 8 * ((i) - 16))
#define RAH(i) (RAL(i) + 4)
#define RAH_VALID (UINT32_C(1) << 31)
#define RECEIVE_ADDRESSES 24
#define REGISTERS_BYTES 0x20000

static int
forget_mac(const char *resource, const char *text)
{
	const struct ether_addr *mac = ether_aton(text);
	int fd = open(resource, O_RDWR | O_SYNC | O_CLOEXEC);
	uint8_t *registers;
	unsigned int i;

	if (fd < 0 || mac == NULL)
		fail(mac == NULL ? text : resource);
	registers = mmap(NULL, REGISTERS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (registers == MAP_FAILED)
		fail(resource);
	for (i = 0; i < RECEIVE_ADDRESSES; i++) {
		volatile uint32_t *low = (volatile uint32_t *)(registers + RAL(i));
		volatile uint32_t *high = (volatile uint32_t *)(registers + RAH(i));
		const uint32_t halves[2] = {*low, *high};

		if ((halves[1] & RAH_VALID) == 0 || memcmp(halves, mac, sizeof(*mac)) != 0)
			continue;
		*high = 0;
		return 0;
	}
	fprintf(stderr, "vmq-tool: %s has no address %s\n", resource, text);
	return 1;
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "connect") == 0)
		return connect_port(argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "send") == 0)
		return send_frames(argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "forget") == 0)
		return forget_mac(argv[2], argv[3]);
	fprintf(stderr, "usage: vmq-tool connect DEVICE SOCKET | send INTERFACE PCAP | "
		"forget RESOURCE MAC\n");
	return 2;
}
