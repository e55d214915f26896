#include "tests/unit/sev/chain_judge.h"

#include <openssl/err.h>

int
chain_judge(struct sev_verdict *v, struct span blob,
    const struct sev_trust *trust, struct err *err)
{
	struct sev_chain chain;
	int rc;

	*err = (struct err){ ERR_NONE, "" };
	if (sev_chain_parse(&chain, &blob, 1, err) != 0)
		fail_msg("%s", err->msg);
	rc = sev_chain_verify(v, &chain, trust, err);
	/* A refusal leaves nothing for the thread's next TLS call. */
	assert_int_equal(ERR_peek_error(), 0);
	return rc;
}

void
chain_wants(const char *name, struct span blob, const struct sev_trust *trust,
    enum sev_check check, const char *says)
{
	struct sev_verdict v;
	struct err err;
	int rc = chain_judge(&v, blob, trust, &err);

	if ((rc == 0) != (check == SEV_CHECK_NONE) || v.failed != check)
		fail_msg("%s: failed at %s (%s), want %s", name,
		    sev_check_name(v.failed), err.msg, sev_check_name(check));
	if (says != NULL)
		fixture_says(name, &err, says);
}
