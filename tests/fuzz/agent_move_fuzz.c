#include <string.h>

#include "agent/registration.h"
#include "agent/vault/move.h"
#include "agent/vault/move_seal.h"
#include "tests/fuzz/fuzz.h"

/* An export file, and what one says that was opened. */

static void
read_text(struct span text)
{
	struct reader r = reader_of(text);
	struct registration *reg;
	struct move_vm vm;
	size_t count = 0;

	if (move_count(&r, &count, NULL) != 0)
		return;
	MUST(count >= 1 && count <= MOVE_VMS_MAX);
	while (count-- > 0 && move_next(&vm, &r, NULL) == 0) {
		MUST(vm.registration.len + vm.counts.len + vm.blocked.len <=
		    text.len);
		reg = NULL;
		if (registration_decode(&reg, vm.registration, NULL) == 0)
			registration_free(reg);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t private[MOVE_KEY_LEN] = { 1 };
	struct span in = span_of(data, size);
	struct secret text = { 0 };
	struct move_file file;
	uint8_t sender[UUID_KEY_LEN];

	read_text(in);
	if (move_read(&file, in, NULL) != 0)
		return 0;
	MUST(file.sealed.len + MOVE_HEAD_LEN + KEY_SIG_LEN == size);
	memcpy(sender, file.sender, sizeof(sender));
	/* A signature that nobody made. */
	MUST(move_open(&text, &file, private, sender, NULL) != 0);
	return 0;
}
