#ifndef LAUNCH_MEASURED_H
#define LAUNCH_MEASURED_H

#include <stdint.h>

#define MEASURED_LEN 48 /* MEASURE and MNONCE, AMD 55766 6.5 */

/* What a hypervisor reports of a guest that waits for its secret. */
struct measured {
	uint8_t bytes[MEASURED_LEN];
	uint8_t api_major, api_minor, build_id;
	uint32_t policy;
};

#endif
