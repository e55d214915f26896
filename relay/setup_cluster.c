#include "relay/setup_cluster.h"

#include "common/address.h"
#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSWORD_MAX 255

static void
check_fields(const struct relay_cluster *c, struct conf_report *report)
{
	const struct {
		const char *key;
		bool given;
	} needed[] = {
		{ "cluster.node", c->node[0] != '\0' },
		{ "cluster.listen", c->at.listen.count > 0 },
		{ "cluster.certificate", c->at.certificate[0] != '\0' },
		{ "cluster.key", c->at.key[0] != '\0' },
		{ "cluster.ca", c->at.client_ca[0] != '\0' },
	};
	char host[64];
	uint16_t port;
	struct err err;

	if (c->fence < 3 * c->lease)
		conf_complain(report, "cluster.fence",
		    "must be at least three times cluster.lease");
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!needed[i].given)
			conf_complain(report, needed[i].key,
			    "is needed with cluster.directory");
	if (c->advertise[0] != '\0') {
		if (address_split(
			host, sizeof(host), &port, c->advertise, &err) != 0)
			conf_complain(
			    report, "cluster.advertise", "%s", err.msg);
		else if (port == 0)
			conf_complain(report, "cluster.advertise",
			    "needs the port that others are to dial");
	} else if (c->at.listen.count > 0 &&
	    address_split(host, sizeof(host), &port,
		((char *const *)c->at.listen.items)[0], &err) == 0 &&
	    (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)) {
		conf_complain(report, "cluster.advertise",
		    "is needed with a cluster.listen of all addresses");
	}
}

static void
load_password(struct relay_setup *s, struct conf_report *report)
{
	const char *path = s->config.cluster.password_file;
	char text[PASSWORD_MAX + 2] = "";
	ssize_t len;
	int fd;

	s->directory_password = calloc(1, sizeof(text));
	if (s->directory_password == NULL) {
		conf_complain(report, "cluster.password-file", "no memory");
		return;
	}
	if (path[0] == '\0')
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (len < 0)
		conf_complain(report, "cluster.password-file", "%s: %s", path,
		    strerror(errno));
	if (fd >= 0)
		close(fd);
	text[strcspn(text, "\r\n")] = '\0';
	if (len >= 0 && (text[0] == '\0' || strlen(text) > PASSWORD_MAX))
		conf_complain(report, "cluster.password-file",
		    "%s: a first line of 1 to %d bytes is wanted", path,
		    PASSWORD_MAX);
	memcpy(s->directory_password, text, sizeof(text));
	secret_wipe(text, sizeof(text));
}

void
setup_cluster(struct relay_setup *s, struct conf_report *report)
{
	static const char *const parts[] = { "cluster.certificate",
		"cluster.key", "cluster.ca" };
	const struct relay_cluster *c = &s->config.cluster;
	struct tls_source source = { c->at.certificate, c->at.key,
		c->at.client_ca };
	enum tls_part part;
	struct err err;

	if (c->directory == NULL || c->directory[0] == '\0')
		return;
	check_fields(c, report);
	load_password(s, report);
	if (source.certificate[0] == '\0' || source.key[0] == '\0' ||
	    source.client_ca[0] == '\0')
		return; /* told already */
	if (tls_identity_load(&s->cluster, &source, &part, &err) != 0)
		conf_complain(report, parts[part], "%s", err.msg);
}

void
setup_cluster_free(struct relay_setup *s)
{
	tls_identity_free(s->cluster);
	if (s->directory_password != NULL)
		secret_wipe(s->directory_password, PASSWORD_MAX + 2);
	free(s->directory_password);
}
