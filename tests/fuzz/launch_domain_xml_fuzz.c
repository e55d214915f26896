#include "launch/domain_xml.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

/* A definition may come from whoever sells images; what was filled in reads as
 * it was meant. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t bytes[48];
	static const char id[] = "57f669c2-c427-4132-bc7a-26f56b6a718c";
	const struct domain_fill fill = { .cbitpos = 51,
		.reduced_phys_bits = 1,
		.policy = 5,
		.owner_cert = span_of(bytes, sizeof(bytes)),
		.session = span_of(bytes, sizeof(bytes)),
		.launch_id = id };
	struct domain_look before, after;
	struct domain_xml *x = NULL, *again = NULL;
	struct secret out = { 0 };

	if (domain_xml_read(&x, span_of(data, size), NULL) != 0)
		return 0;
	if (domain_xml_look(&before, x, NULL) == 0 &&
	    domain_xml_fill(x, &fill, NULL) == 0) {
		MUST(domain_xml_write(&out, x, NULL) == 0);
		MUST(domain_xml_read(&again, secret_span(&out), NULL) == 0);
		MUST(domain_xml_look(&after, again, NULL) == 0);
		MUST(strcmp(before.name, after.name) == 0);
		MUST(strcmp(before.service, after.service) == 0);
		MUST(after.has_policy && after.policy == 5);
		MUST(strstr((const char *)out.ptr, id) != NULL);
	}
	secret_free(&out);
	domain_xml_free(again);
	domain_xml_free(x);
	return 0;
}
