#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "agent/control.h"
#include "agent/json.h"
#include "agent/relay_url.h"

/* Heads of the control socket, and the texts of the command line. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	uint8_t pin[RELAY_PIN_LEN];
	struct control_head head;
	struct relay_proxy proxy;
	struct relay_url url;
	uint64_t n = 0;

	if (text == NULL)
		abort();
	if (control_read_head(&head, span_of(data, size), NULL) == 0 &&
	    head.len > OWNER_IN_MAX)
		__builtin_trap();
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	(void)relay_url_parse(&url, text, NULL);
	(void)relay_proxy_parse(&proxy, text, NULL);
	(void)relay_no_proxy(text, "attest.cloud.example");
	(void)relay_pin_parse(pin, text, NULL);
	if (json_uint_text(&n, text, UINT32_MAX) && n > UINT32_MAX)
		__builtin_trap();
	free(text);
	return 0;
}
