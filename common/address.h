#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * Addresses to listen on: "192.0.2.7:9443", "[2001:db8::7]:9443".  No names
 * are looked up.
 */

#define ADDRESS_HOST_LEN 64
#define ADDRESS_TEXT_LEN 80

/**
 * address_split(host, cap, port, text, err):
 * ${host} without brackets.  errors ERR_MALFORMED
 */
int address_split(
    char *host, size_t cap, uint16_t *port, const char *text, struct err *err);

/** address_fill(out, host, port): of what address_split() gave. */
socklen_t address_fill(
    struct sockaddr_storage *out, const char *host, uint16_t port);

uint16_t address_port(const struct sockaddr_storage *sa);

/** address_text(out, fd): where the socket ${fd} is bound, with the port that
 * was chosen for port 0. */
char *address_text(char out[ADDRESS_TEXT_LEN], int fd);

/**
 * address_listen(text, backlog, err):
 * A listening socket, non-blocking; one of IPv6 takes IPv6 only.
 *   returns  its descriptor; -1: errors ERR_MALFORMED, ERR_IO
 */
int address_listen(const char *text, int backlog, struct err *err);

#endif
