#include "relay/job.h"

#include "relay/relay.h"

#include <stdlib.h>
#include <unistd.h>

bool
job_charge(struct job *j, size_t len)
{
	if (!relay_charge(j->relay, len))
		return false;
	j->charged += len;
	return true;
}

void
job_free(struct job *j)
{
	if (j == NULL)
		return;
	if (j->charged > 0)
		relay_discharge(j->relay, j->charged);
	buf_free(&j->body);
	buf_free(&j->answer);
	free(j->answer_headers);
	free(j);
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
	case MESSAGE_ACCEPT:
		close(((struct message_accept *)m)->fd);
		free(m);
		break;
	default:
		free(m);
		break;
	}
}
