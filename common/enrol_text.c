#include "common/enrol_text.h"

#define EXPORTER_LEN 32
#define KEY_LEN 32

static const char tag[] = "attest-relay.v1 enrol"; /* with its NUL */

void
enrol_text(struct writer *w, uint8_t binding, struct span exporter,
    struct span token_hash, struct span key)
{
	/* Fixed lengths are what makes two texts differ in their bytes. */
	if (binding > 1 || (binding == 1 && exporter.len != EXPORTER_LEN) ||
	    token_hash.len != ENROL_HASH_LEN || key.len != KEY_LEN) {
		w->failed = true;
		return;
	}
	writer_put(w, span_of(tag, sizeof(tag)));
	writer_u8(w, binding);
	if (binding == 1)
		writer_put(w, exporter);
	else
		writer_zeros(w, EXPORTER_LEN);
	writer_put(w, token_hash);
	writer_put(w, key);
}
