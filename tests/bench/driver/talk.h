#ifndef TESTS_BENCH_DRIVER_TALK_H
#define TESTS_BENCH_DRIVER_TALK_H

#include "common/span.h"
#include "common/uuid.h"

/*
 * What is said: requests and answers that can be told from each other, so that
 * an answer to another's request is seen.
 */

#define TALK_REQUEST_LEN 6144
#define TALK_ANSWER_LEN 4096
#define TALK_KEY_LEN 32

/** talk_vm(n): UUID of the VM number ${n}. */
struct uuid talk_vm(uint32_t n);

/** talk_seed(out, n): the private key of the agent number ${n}: known to all,
 * and good for nothing else. */
void talk_seed(uint8_t out[TALK_KEY_LEN], uint32_t n);

/** talk_request_body(): TALK_REQUEST_LEN bytes, the same for all. */
struct span talk_request_body(void);

/** talk_answer(out, path): the answer to the request for ${path}, which has
 * the UUID in it: TALK_ANSWER_LEN bytes.  False: no UUID there. */
bool talk_answer(uint8_t out[TALK_ANSWER_LEN], struct span path);

/** talk_is_answer(got, vm): is it the answer for ${vm}? */
bool talk_is_answer(struct span got, const struct uuid *vm);

#endif
