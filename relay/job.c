#include "relay/job.h"

#include "common/clock.h"
#include "relay/directory.h"
#include "relay/registry.h"
#include "relay/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
job_charge(struct job *j, size_t len)
{
	j->over_quota = false;
	if (!relay_charge(j->relay, len))
		return false;
	if (j->account != NULL && !account_charge(j->account, len)) {
		relay_discharge(j->relay, len);
		j->over_quota = true;
		return false;
	}
	j->charged += len;
	return true;
}

bool
job_account(struct job *j, struct account *account, uint64_t now_us,
    enum problem *problem)
{
	if (account == NULL || j->account != NULL)
		return true;
	*problem = PROBLEM_RATE_LIMITED;
	if (!account_request(account, now_us))
		return false;
	*problem = PROBLEM_OVERLOADED;
	if (!account_take(account, ACCOUNT_STREAMS))
		return false;
	if (!account_charge(account, j->charged)) {
		account_give(account, ACCOUNT_STREAMS);
		return false;
	}
	j->account = account;
	return true;
}

void
job_refused(struct worker *from, struct account *account, struct handle tunnel)
{
	struct message_tunnel *m;

	if (!account_tell(account, clock_ms()))
		return;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return;
	m->m.kind = MESSAGE_QUOTA;
	m->tunnel = tunnel;
	relay_send(from, tunnel.worker, &m->m);
}

bool
job_headers(struct job *j, struct span headers)
{
	if (headers.len == 0)
		return true;
	j->headers = malloc(headers.len);
	if (j->headers == NULL)
		return false;
	memcpy(j->headers, headers.ptr, headers.len);
	j->headers_len = headers.len;
	return true;
}

bool
job_aim(struct job *j, uint64_t session)
{
	size_t cap = j->headers_len + sizeof(JOB_TUNNEL_HEADER) + 32;
	uint8_t *more;
	struct writer w;
	char text[24];

	job_unaim(j);
	more = realloc(j->headers, cap);
	if (more == NULL)
		return false;
	j->headers = more;
	j->own_headers_len = j->headers_len;
	w = writer_of(more + j->headers_len, cap - j->headers_len);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)session);
	frame_put_header(&w, span_str(JOB_TUNNEL_HEADER), span_str(text));
	j->headers_len += w.len;
	return writer_ok(&w);
}

void
job_unaim(struct job *j)
{
	if (j->own_headers_len > 0)
		j->headers_len = j->own_headers_len;
	j->own_headers_len = 0;
}

void
job_free(struct job *j)
{
	if (j == NULL)
		return;
	if (j->charged > 0)
		relay_discharge(j->relay, j->charged);
	if (j->account != NULL) {
		account_discharge(j->account, j->charged);
		account_give(j->account, ACCOUNT_STREAMS);
	}
	buf_free(&j->body);
	buf_free(&j->answer);
	free(j->headers);
	free(j->answer_headers);
	free(j);
}

static void
free_setup(struct message_setup *m)
{
	setup_drop(m->setup);
	tls_server_free(m->public);
	tls_server_free(m->internal);
	free(m);
}

void
message_free(struct message *m)
{
	if (m == NULL)
		return;
	switch (m->kind) {
	case MESSAGE_JOB:
	case MESSAGE_JOB_BACK:
		job_free((struct job *)m);
		break;
	case MESSAGE_DIRECTORY:
		directory_op_free((struct directory_op *)m);
		break;
	case MESSAGE_ACCEPT:
		if (((struct message_accept *)m)->fd >= 0)
			close(((struct message_accept *)m)->fd);
		free(m);
		break;
	case MESSAGE_SETUP:
		free_setup((struct message_setup *)m);
		break;
	case MESSAGE_ERRAND:
	case MESSAGE_ERRAND_BACK:
		job_free(((struct message_errand *)m)->job);
		free(m);
		break;
	case MESSAGE_TUNNELS:
		free(((struct message_tunnels *)m)->rows);
		free(m);
		break;
	case MESSAGE_REGISTRY:
		registry_op_free((struct registry_op *)m);
		break;
	default:
		free(m);
		break;
	}
}
