#ifndef AGENT_SEV_SEV_H
#define AGENT_SEV_SEV_H

/*
 * The face of the SEV core, and the one header of it that agent/ includes.
 * Pure: bytes, policy and randomness in; verdicts, digests and packets out.
 * No file, socket, clock or random generator is touched here.
 *
 * "55766" in comments is AMD's Secure Encrypted Virtualization API,
 * publication 55766, revision 3.24.  Every integer of it is little-endian.
 */
#include "agent/sev/amd_cert.h"
#include "agent/sev/cek.h"
#include "agent/sev/cert.h"
#include "agent/sev/chain.h"
#include "agent/sev/chain_verify.h"
#include "agent/sev/digest.h"
#include "agent/sev/guest_policy.h"
#include "agent/sev/guid.h"
#include "agent/sev/hash.h"
#include "agent/sev/hash_table.h"
#include "agent/sev/launch_secret.h"
#include "agent/sev/measure.h"
#include "agent/sev/ovmf.h"
#include "agent/sev/roots.h"
#include "agent/sev/session.h"
#include "agent/sev/vmsa.h"

#endif
