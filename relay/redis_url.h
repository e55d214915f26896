#ifndef RELAY_REDIS_URL_H
#define RELAY_REDIS_URL_H

#include "common/err.h"

#include <stdint.h>

struct redis_url {
	char host[256];
	uint16_t port;
	unsigned db;
};

/** redis_url_parse(out, text, err): redis://HOST[:PORT][/DB].
 *   errors  ERR_USAGE; ERR_UNSUPPORTED: rediss:// */
int redis_url_parse(struct redis_url *out, const char *text, struct err *err);

#endif
