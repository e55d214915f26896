#include "agent/vault/move.h"

int
move_put_count(struct buf *out, size_t count, struct err *err)
{
	uint8_t bytes[4];
	struct writer w = writer_of(bytes, sizeof(bytes));

	writer_be32(&w, (uint32_t)count);
	return buf_append(out, writer_span(&w), err);
}

static int
put_part(struct buf *out, struct span part, struct err *err)
{
	if (move_put_count(out, part.len, err) != 0)
		return -1;
	return part.len > 0 ? buf_append(out, part, err) : 0;
}

int
move_put(struct buf *out, const struct move_vm *vm, struct err *err)
{
	if (move_put_count(out, vm->flags, err) != 0 ||
	    put_part(out, vm->registration, err) != 0 ||
	    put_part(out, vm->counts, err) != 0 ||
	    put_part(out, vm->blocked, err) != 0)
		return -1;
	return 0;
}

int
move_count(struct reader *r, size_t *count, struct err *err)
{
	*count = reader_be32(r);
	if (!reader_ok(r))
		return err_set(err, ERR_MALFORMED, "export without VMs");
	if (*count == 0 || *count > MOVE_VMS_MAX)
		return err_set(err, ERR_LIMIT,
		    "export of %zu VMs, want 1 to %d", *count, MOVE_VMS_MAX);
	return 0;
}

int
move_next(struct move_vm *out, struct reader *r, struct err *err)
{
	out->flags = reader_be32(r);
	out->registration = reader_take(r, reader_be32(r));
	out->counts = reader_take(r, reader_be32(r));
	out->blocked = reader_take(r, reader_be32(r));
	if (!reader_ok(r) || out->registration.len == 0)
		return err_set(err, ERR_MALFORMED, "export is cut short");
	if ((out->flags & ~MOVE_DISABLED) != 0)
		return err_set(err, ERR_UNSUPPORTED,
		    "export with flags 0x%x: of a later version", out->flags);
	return 0;
}
