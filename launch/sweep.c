#include "launch/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "launch/clean.h"
#include "launch/options.h"
#include "launch/wait.h"

/* A guest whose start was asked for, and not answered, does not come after
 * libvirt has been there for so long. */
#define IN_FLIGHT_MAX_S 600

static const struct {
	const char *name, *words;
} found[] = {
	[CLEAN_AGAIN] = { "no-answer", "libvirt does not answer" },
	[CLEAN_NONE] = { "none", "there is none" },
	[CLEAN_ENDED] = { "destroyed", "destroyed" },
	[CLEAN_LEFT] = { "in-use", "in use, and left as it is" },
	[CLEAN_LATER] = { "later", "asked for, and not there yet" },
};

static void
tell(const struct report *report, const struct record *r,
    const struct record_view *v, enum clean_end end)
{
	report_say("guest %s of a launch that was killed: %s", v->domain,
	    found[end].words);
	report_step(report, "swept",
	    json_pack("{s:s, s:s, s:s}", "domain", v->domain, "launch", r->id,
		"found", found[end].name));
}

/* Since libvirt was last silent, by the time of the file. */
static bool
too_late(const struct record *r)
{
	struct stat st;

	return fstat(r->fd, &st) == 0 &&
	    time(NULL) - st.st_mtime >= IN_FLIGHT_MAX_S;
}

/* One that nobody cares for; ${r} is ours. */
static enum outcome
settle(const struct report *report, struct record *r, unsigned patience_s,
    struct err *err)
{
	struct clean_rule rule = { .patience_s = patience_s,
		.ask_qemu = true };
	struct record_view v;
	enum clean_end end;

	if (record_read(&v, r, err) != 0) {
		record_leave(r);
		return OUTCOME_CONFIG;
	}
	/* Whether the launcher gave up or not: who runs it by now wants it. */
	rule.also_running = (v.words & RECORD_BOUND) != 0;
	end = v.asked ? clean_run(&v, r->id, &rule) : CLEAN_NONE;
	if (v.asked)
		tell(report, r, &v, end);
	if (end == CLEAN_AGAIN) {
		(void)futimens(r->fd, NULL);
		record_leave(r);
		err_set(err, ERR_IO, "guest %.100s: libvirt does not answer",
		    v.domain);
		return OUTCOME_UNREACHABLE;
	}
	if (end == CLEAN_LATER && !too_late(r))
		record_leave(r);
	else
		record_end(r);
	return OUTCOME_OK;
}

static enum outcome
sweep_one(const struct report *report, int folder, const char *name,
    unsigned patience_s, struct err *err)
{
	struct record r;
	struct uuid id;

	if (uuid_parse(&id, span_str(name), NULL) != 0)
		return OUTCOME_OK;
	if (record_take(&r, folder, name, err) != 0)
		return OUTCOME_CONFIG;
	return r.fd < 0 ? OUTCOME_OK : settle(report, &r, patience_s, err);
}

enum outcome
sweep_folder(const struct sweep_rule *rule, int folder, struct err *err)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *all = fd < 0 ? NULL : fdopendir(fd);
	int64_t until = wait_now_ms() + (int64_t)rule->all_s * 1000;
	enum outcome rc = OUTCOME_OK;
	const struct dirent *entry;

	if (all == NULL) {
		err_set(err, ERR_IO, "launches under way: %s", strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return OUTCOME_USAGE;
	}
	/* What is left over is the next sweep's. */
	while ((rule->all_s == 0 || wait_now_ms() < until) &&
	    (entry = readdir(all)) != NULL) {
		enum outcome one = sweep_one(
		    rule->report, folder, entry->d_name, rule->each_s, err);

		if (one != OUTCOME_OK)
			rc = one;
	}
	(void)closedir(all);
	return rc;
}

enum outcome
sweep(int argc, char **argv)
{
	struct report report = { .verb = argv[0] };
	enum outcome rc = OUTCOME_USAGE;
	struct err err = { 0 };
	struct options o;
	int folder = -1;

	if (options_parse(&o, OPT_STATE | OPT_JSON, argc, argv, &err) == 0) {
		report.json = o.json;
		if (record_folder(&folder, o.state, &err) == 0)
			rc = sweep_folder(
			    &(struct sweep_rule){
				.report = &report, .each_s = o.libvirt_s },
			    folder, &err);
	}
	if (rc != OUTCOME_OK)
		(void)report_end(&report, rc, NULL, &err);
	if (folder >= 0)
		(void)close(folder);
	return rc;
}
