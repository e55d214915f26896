#ifndef AGENT_SEV_ROOTS_DATA_H
#define AGENT_SEV_ROOTS_DATA_H

#include <stdint.h>

#include "agent/sev/amd_cert.h"

/* AMD's published ASK and ARK of each generation.  Inside agent/sev only. */
extern const uint8_t sev_roots_naples_ask[SEV_AMD_CERT_2048_LEN];
extern const uint8_t sev_roots_naples_ark[SEV_AMD_CERT_2048_LEN];
extern const uint8_t sev_roots_rome_ask[SEV_AMD_CERT_4096_LEN];
extern const uint8_t sev_roots_rome_ark[SEV_AMD_CERT_4096_LEN];
extern const uint8_t sev_roots_milan_ask[SEV_AMD_CERT_4096_LEN];
extern const uint8_t sev_roots_milan_ark[SEV_AMD_CERT_4096_LEN];
extern const uint8_t sev_roots_genoa_ask[SEV_AMD_CERT_4096_LEN];
extern const uint8_t sev_roots_genoa_ark[SEV_AMD_CERT_4096_LEN];
extern const uint8_t sev_roots_turin_ask[SEV_AMD_CERT_4096_LEN];
extern const uint8_t sev_roots_turin_ark[SEV_AMD_CERT_4096_LEN];

#endif
