#include "relay/config.h"

#include "common/conf_host.h"
#include "common/log.h"
#include "relay/directory.h"
#include "relay/tenant.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const agent_words[] = { "key", "mtls", "token", NULL };
static const char *const tls_words[] = { "1.2", "1.3", NULL };

static int check_name(const char *text, struct err *err);

/* clang-format off */
#define TENANT(field) offsetof(struct relay_tenant, field)
static const struct conf_key tenant_keys[] = {
	{ "name", CONF_STRING, TENANT(name), NULL, 1, TENANT_NAME_MAX,
	  "The tenant's name, shown to its agents.", .example = "acme",
	  .check = conf_check_word },
	{ "keys", CONF_STRINGS, TENANT(keys), "", 0, 100000,
	  "Keys of the tenant's agents, as attest-agent key show prints them.",
	  .example =
	      "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" },
	{ "vms", CONF_STRINGS, TENANT(vms), "", 0, 1000000,
	  "UUIDs that belong to the tenant.",
	  .example = "57f669c2-c427-4132-bc7a-26f56b6a718c" },
	{ "certificates", CONF_STRINGS, TENANT(certificates), "", 0, 100000,
	  "Names in the certificates of its agents (the first DNS name, else "
	  "URI, else address), for agents.auth mtls.",
	  .example = "agent.acme.example", .check = check_name },
	{ "self-certifying", CONF_BOOL, TENANT(self_certifying), "no", 0, 0,
	  "Its agents may also claim UUIDs made from their own keys "
	  "(attest-agent vm add --new-uuid); nobody else can." },
	{ "first-claim", CONF_BOOL, TENANT(first_claim), "no", 0, 0,
	  "Its agents may also claim UUIDs that are nobody's; one is then bound "
	  "to the key until attest-relayctl claims release." },
	{ "tunnels", CONF_INT, TENANT(tunnels), "0", 0, 100000,
	  "Its own limits.tenant-tunnels; 0 is that one, here and below." },
	{ "claims", CONF_INT, TENANT(claims), "0", 0, 10000000,
	  "Its own limits.tenant-claims." },
	{ "streams", CONF_INT, TENANT(streams), "0", 0, 1000000,
	  "Its own limits.tenant-streams." },
	{ "requests", CONF_INT, TENANT(requests), "0", 0, 1000000,
	  "Its own limits.tenant-requests." },
	{ "memory", CONF_SIZE, TENANT(memory), "0", 0, INT64_C(1) << 44,
	  "Its own limits.tenant-memory." },
};
static const struct conf_table tenant_table =
    CONF_TABLE(tenant_keys, struct relay_tenant);

#define AT(field) offsetof(struct relay_config, field)
static const struct conf_key relay_keys[] = {
	{ "name", CONF_STRING, AT(name), NULL, 1, 255,
	  "Name of the relay, as agents dial it.  They sign it.",
	  .example = "attest.cloud.example", .check = check_name },
	{ "base", CONF_STRING, AT(base), "/", 1, 128,
	  "Path in front of all others: the service is https://NAME:PORT/base.",
	  .example = "/sev", .check = conf_check_base },
	{ "user", CONF_STRING, AT(user), "nobody", 1, 64,
	  "Whom to become after the keys are read and the ports bound, when "
	  "started as root." },
	{ "state", CONF_PATH, AT(state), "/var/lib/attest-relay", 0, 3072,
	  "Folder for what attest-relayctl changes: keys, tokens, owners of "
	  "UUIDs (relay.db).  \"\": memory only; a restart forgets all of it." },
	{ "workers", CONF_INT, AT(workers), "0", 0, 256,
	  "Threads that serve; 0 is one for each processor." },

	{ "public.listen", CONF_STRINGS, AT(public.listen), NULL, 1, 16,
	  "Where agents dial in.", .example = "0.0.0.0:8443",
	  .check = conf_check_listen },
	{ "public.certificate", CONF_PATH, AT(public.certificate), NULL, 1, 4096,
	  "PEM: certificate, then its chain.  ECDSA P-256 is the cheapest.",
	  .example = "/etc/attest-relay/public.crt" },
	{ "public.key", CONF_PATH, AT(public.key), NULL, 1, 4096,
	  "PEM: its private key.", .example = "/etc/attest-relay/public.key" },
	{ "public.client-ca", CONF_PATH, AT(public.client_ca), "", 0, 4096,
	  "PEM: who signs the certificates of agents, for agents.auth mtls.",
	  .example = "/etc/attest-relay/agents-ca.crt" },
	{ "internal.listen", CONF_STRINGS, AT(internal.listen), NULL, 1, 16,
	  "Where compute hosts post.  No agent is served here, and no host "
	  "there.", .example = "127.0.0.1:9443", .check = conf_check_listen },
	{ "internal.certificate", CONF_PATH, AT(internal.certificate), NULL, 1,
	  4096, "PEM: certificate, then its chain.",
	  .example = "/etc/attest-relay/internal.crt" },
	{ "internal.key", CONF_PATH, AT(internal.key), NULL, 1, 4096,
	  "PEM: its private key.",
	  .example = "/etc/attest-relay/internal.key" },
	{ "internal.client-ca", CONF_PATH, AT(internal.client_ca), "", 0, 4096,
	  "PEM: who signs the certificates of hosts, for auth mtls.",
	  .example = "/etc/attest-relay/hosts-ca.crt" },

	{ "admin.socket", CONF_PATH, AT(admin_socket),
	  "/run/attest-relay/admin.sock", 0, 100,
	  "Unix socket for attest-relayctl, mode 0600; \"\": none." },
	{ "admin.listen", CONF_STRINGS, AT(admin.listen), "", 0, 4,
	  "The same over TLS, for holders of a certificate of "
	  "admin.client-ca.", .example = "127.0.0.1:9444",
	  .check = conf_check_listen },
	{ "admin.certificate", CONF_PATH, AT(admin.certificate), "", 0, 4096,
	  "PEM: certificate of admin.listen, then its chain.",
	  .example = "/etc/attest-relay/admin.crt" },
	{ "admin.key", CONF_PATH, AT(admin.key), "", 0, 4096,
	  "PEM: its private key.", .example = "/etc/attest-relay/admin.key" },
	{ "admin.client-ca", CONF_PATH, AT(admin.client_ca), "", 0, 4096,
	  "PEM: who signs the certificates of operators.",
	  .example = "/etc/attest-relay/operators-ca.crt" },

	{ "agents.auth", CONF_FLAGS, AT(agent_auth), "key", 0, 0,
	  "How agents show whose they are, any of the list: a key that is "
	  "listed or enrolled, a certificate of tenants[].certificates, a token "
	  "of attest-relayctl token create --agent.  All sign with a key.",
	  .words = agent_words },
	{ "hosts.auth", CONF_FLAGS, AT(host_auth), "", 0, 0,
	  "How hosts show who they are, any of the list.  Empty: no host is "
	  "let in.", .words = conf_host_auth, .example = "mtls, bearer" },
	{ "hosts.networks", CONF_STRINGS, AT(networks), "", 0, 1000,
	  "Networks whose hosts need to show nothing, for auth networks.",
	  .example = "10.0.0.0/8", .check = conf_check_network },
	{ "hosts.tokens", CONF_MAPS, AT(tokens), "", 0, 100000,
	  "Bearer tokens of hosts.", .sub = &conf_host_tokens },

	{ "tls.min", CONF_ENUM, AT(tls_min), "1.3", 0, 0,
	  "Oldest version of TLS accepted.", .words = tls_words },
	{ "tls.tickets", CONF_BOOL, AT(tls_tickets), "off", 0, 0,
	  "Give tickets, by which a host that comes again resumes its "
	  "session, unless it showed a certificate. Each handshake pays for "
	  "one, and few clients keep it." },
	{ "channel-binding", CONF_BOOL, AT(channel_binding), "on", 0, 0,
	  "Agents sign the TLS connection they speak on.  Off only behind a "
	  "load balancer that ends TLS; agents must allow it too." },
	{ "tenants", CONF_MAPS, AT(tenants), "", 0, 100000,
	  "Who may claim which UUIDs.", .sub = &tenant_table },

	{ "cluster.directory", CONF_STRING, AT(cluster.directory), "", 0, 512,
	  "Relays that share a Redis serve each other's agents: "
	  "redis://HOST[:PORT][/DB].  \"\": this one stands alone.",
	  .example = "redis://10.0.0.5:6379/0", .check = directory_check_url },
	{ "cluster.password-file", CONF_PATH, AT(cluster.password_file), "", 0,
	  4096, "File with the Redis' password in its first line.",
	  .example = "/etc/attest-relay/redis.password" },
	{ "cluster.node", CONF_STRING, AT(cluster.node), "", 0,
	  DIRECTORY_NODE_MAX,
	  "This relay's name, another one's for each; a DNS name of its "
	  "cluster certificate.", .example = "relay-1", .check = conf_check_word },
	{ "cluster.listen", CONF_STRINGS, AT(cluster.at.listen), "", 0, 16,
	  "Where the other relays reach this one.", .example = "10.0.0.1:7443",
	  .check = conf_check_listen },
	{ "cluster.advertise", CONF_STRING, AT(cluster.advertise), "", 0,
	  DIRECTORY_ADDRESS_MAX,
	  "What they are told of it, IP:PORT; the first of cluster.listen by "
	  "default.", .example = "10.0.0.1:7443" },
	{ "cluster.certificate", CONF_PATH, AT(cluster.at.certificate), "", 0,
	  4096, "PEM: the certificate between relays, for both ends of a "
	  "connection.", .example = "/etc/attest-relay/cluster.crt" },
	{ "cluster.key", CONF_PATH, AT(cluster.at.key), "", 0, 4096,
	  "PEM: its private key.", .example = "/etc/attest-relay/cluster.key" },
	{ "cluster.ca", CONF_PATH, AT(cluster.at.client_ca), "", 0, 4096,
	  "PEM: who signs them all, and nothing else: whom it certifies is "
	  "trusted as a relay.", .example = "/etc/attest-relay/cluster-ca.crt" },
	{ "cluster.lease", CONF_MS, AT(cluster.lease), "10s", 1000, 600000,
	  "How long a UUID is this relay's without a renewal." },
	{ "cluster.fence", CONF_MS, AT(cluster.fence), "1h", 10000, 604800000,
	  "How long after its last renewal it is kept from other agents' keys, "
	  "as this relay may live and just not reach the Redis; at least three "
	  "leases." },

	{ "limits.connections", CONF_INT, AT(limits.connections), "65536", 1,
	  4000000, "Connections in all; agents have at most seven eighths." },
	{ "limits.connections-per-address", CONF_INT,
	  AT(limits.connections_per_address), "512", 1, 4000000,
	  "Connections of one IPv4 address or IPv6 /64." },
	{ "limits.handshakes", CONF_INT, AT(limits.handshakes), "4096", 1, 100000,
	  "TLS handshakes under way on each side, public and internal; more "
	  "connections wait to be accepted." },
	{ "limits.handshakes-per-block", CONF_INT,
	  AT(limits.handshakes_per_block), "256", 1, 100000,
	  "TLS handshakes under way of one IPv4 /24 or IPv6 /48; more are "
	  "closed." },
	{ "limits.handshake-steps", CONF_INT, AT(limits.handshake_steps), "8", 1,
	  1000, "Handshake steps of a worker between two looks at what is "
	  "established." },
	{ "limits.streams", CONF_INT, AT(limits.streams), "32", 1, 1024,
	  "Requests under way on one tunnel; more are queued." },
	{ "limits.queue", CONF_INT, AT(limits.queue), "256", 0, 100000,
	  "Requests queued for one tunnel; more get 503." },
	{ "limits.queue-per-source", CONF_INT, AT(limits.queue_per_source),
	  "128", 0, 100000, "The same, of one source." },
	{ "limits.held", CONF_INT, AT(limits.held), "1000", 0, 1000000,
	  "Requests that wait for an agent that is away, in all." },
	{ "limits.held-per-source", CONF_INT, AT(limits.held_per_source), "8",
	  0, 1000000, "The same, of one source." },
	{ "limits.claims", CONF_INT, AT(limits.claims), "4096", 1, 1000000,
	  "UUIDs claimed on one tunnel." },
	{ "limits.tenant-claims", CONF_INT, AT(limits.tenant_claims), "65536", 1,
	  10000000, "UUIDs claimed by all agents of one tenant." },
	{ "limits.tenant-tunnels", CONF_INT, AT(limits.tenant_tunnels), "256", 1,
	  100000, "Agents of one tenant with a tunnel." },
	{ "limits.enrolments", CONF_INT, AT(limits.enrolments), "20", 0, 100000,
	  "Enrolments a minute from one IPv4 /24 or IPv6 /48, good or not; "
	  "more get 429.  0 is no limit." },
	{ "limits.tenant-streams", CONF_INT, AT(limits.tenant_streams), "1024",
	  1, 1000000, "Requests under way for one tenant; more get 503." },
	{ "limits.tenant-requests", CONF_INT, AT(limits.tenant_requests), "0",
	  0, 1000000, "Requests a second for one tenant, as many of them at "
	  "once; more get 429.  0 is no limit." },
	{ "limits.tenant-memory", CONF_SIZE, AT(limits.tenant_memory), "256MiB",
	  65536, INT64_C(1) << 44,
	  "Bodies under way for one tenant; more get 503." },
	{ "limits.memory", CONF_SIZE, AT(limits.memory), "1GiB", 1048576,
	  INT64_C(1) << 44,
	  "Memory for connections, bodies and what waits for the directory.  "
	  "From 80 % of it on requests get 503." },

	{ "timeouts.handshake", CONF_MS, AT(timeouts.handshake), "10s", 100,
	  600000, "For a TLS handshake." },
	{ "timeouts.head", CONF_MS, AT(timeouts.head), "5s", 100, 600000,
	  "For the head of a request." },
	{ "timeouts.body", CONF_MS, AT(timeouts.body), "10s", 100, 600000,
	  "For the body of a request; slower than 512 bytes a second after "
	  "half of it is too slow too." },
	{ "timeouts.idle", CONF_MS, AT(timeouts.idle), "30s", 100, 3600000,
	  "Between two requests of a connection." },
	{ "timeouts.stall", CONF_MS, AT(timeouts.stall), "15s", 100, 600000,
	  "For a peer that reads nothing." },
	{ "timeouts.request", CONF_MS, AT(timeouts.request), "60s", 100, 600000,
	  "For a request of a host, in all." },
	{ "timeouts.pending", CONF_MS, AT(timeouts.pending), "120s", 100,
	  3600000, "The same when the agent asks for more time." },
	{ "timeouts.agent-answer", CONF_MS, AT(timeouts.agent_answer), "30s",
	  100, 600000, "For the agent to answer or to ask for time." },
	{ "timeouts.agent-wait", CONF_MS, AT(timeouts.agent_wait), "20s", 0,
	  600000, "How long a request waits for an agent that is away." },
	{ "timeouts.ping", CONF_MS, AT(timeouts.ping), "20s", 100, 600000,
	  "Silence on a tunnel before a ping; up to a quarter more, at "
	  "random." },
	{ "timeouts.drain", CONF_MS, AT(timeouts.drain), "30s", 0, 3600000,
	  "For requests under way and for agents to leave, after SIGTERM." },

	{ "takeover.socket", CONF_PATH, AT(takeover),
	  "/run/attest-relay/takeover.sock", 0, 100,
	  "Where attest-relay --takeover of the same user asks for our place. "
	  "Empty: nowhere." },
	{ "sandbox.seccomp", CONF_BOOL, AT(seccomp), "on", 0, 0,
	  "Once started, make only the system calls a relay needs." },
	{ "sandbox.landlock", CONF_BOOL, AT(landlock), "on", 0, 0,
	  "Once started, open only files of the folders named here." },

	{ "log.level", CONF_ENUM, AT(log_level), "info", 0, 0,
	  "What to log.", .words = log_level_words },
	{ "log.format", CONF_ENUM, AT(log_format), "text", 0, 0,
	  "How to write it.", .words = log_format_words },
	{ "log.access", CONF_BOOL, AT(log_access), "yes", 0, 0,
	  "One line for each request of a host." },
};
/* clang-format on */

const struct conf_table relay_config_table =
    CONF_TABLE(relay_keys, struct relay_config);

const char relay_config_head[] =
    "relay.yaml: configuration of attest-relay, with every key and its "
    "default, made by attest-relay --example; attest-relay --config FILE "
    "--check says what is wrong with yours.";

static int
check_name(const char *text, struct err *err)
{
	for (const char *p = text; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			return err_set(err, ERR_USAGE,
			    "visible ASCII without spaces only");
	return 0;
}
