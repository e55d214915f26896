"""What the measurements share: the driver, our relay, and the peers.

A Bench is a temporary folder with a certificate and all processes that were
started; close() ends them.  Nothing here judges.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BIN = os.environ["BIN"]
TESTBIN = os.environ["TESTBIN"]
DRIVER = os.path.join(TESTBIN, "relay-bench")
PATIENCE = 30
TOKEN = "bench"
AGENT_LIMITS = {"streams": 256, "queue": 4096, "queue-per-source": 4096,
                "tenant-tunnels": 100000, "connections": 100000,
                "connections-per-address": 100000,
                "handshakes-per-block": 100000,
                "held": 20000, "held-per-source": 20000, "memory": "4GiB"}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_us(pid):
    """Processor time of all threads, by the scheduler's account."""
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/schedstat" % (pid, task),
                      encoding="ascii") as stat:
                total += int(stat.read().split()[0])
        except FileNotFoundError:
            pass
    return total / 1000


def rss_kb(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


def busy_ticks():
    """(busy, all) ticks of all processors so far."""
    with open("/proc/stat", encoding="ascii") as stat:
        fields = [int(f) for f in stat.readline().split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


class Child:
    """A process whose lines are read as they come."""

    def __init__(self, args, cpus=None, log=None, stdin=False):
        if cpus:
            args = ["taskset", "-c", cpus, *args]
        self.log = open(log, "ab") if log else None
        self.child = subprocess.Popen(
            [str(a) for a in args],
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=self.log or sys.stderr, text=True,
            bufsize=1)
        self.pid = self.child.pid

    def line(self):
        got = self.child.stdout.readline()
        if not got:
            raise RuntimeError("%s ended: %s" % (
                self.child.args, self.child.wait()))
        return got.rstrip("\n")

    def event(self):
        return json.loads(self.line())

    def say(self, words):
        self.child.stdin.write(words + "\n")
        self.child.stdin.flush()

    def kill(self, how=signal.SIGKILL):
        if self.child.poll() is None:
            self.child.send_signal(how)
            self.child.wait()
        self.child.stdout.close()
        if self.child.stdin:
            self.child.stdin.close()
        if self.log:
            self.log.close()


def wait_port(port):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("nobody listens on port %d" % port)


class Bench:
    def __init__(self, server_cpus=None, client_cpus=None):
        self.folder = tempfile.mkdtemp(prefix="relay-bench-")
        os.chmod(self.folder, 0o755)
        self.server_cpus = server_cpus
        self.client_cpus = client_cpus
        self.children = []
        self.cert, self.key = self.issue("", "DNS:localhost")
        self.public, self.internal = free_port(), free_port()
        self.ca = None  # of agents that show certificates

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, name, san, *flags):
        """Paths of a certificate and its key; self-signed without flags."""
        cert, key = self.path(name + "crt"), self.path(name + "key")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
             "/CN=localhost", "-addext", "subjectAltName=" + san,
             "-keyout", key, "-out", cert, *flags],
            check=True, capture_output=True)
        return cert, key

    def agents_pair(self):
        """What agents show with agents.auth mtls, of an authority that
        relay_config() then names."""
        self.ca, ca_key = self.issue("ca-", "DNS:ca.bench")
        return self.issue(
            "agent-", "DNS:agent.bench", "-CA", self.ca, "-CAkey", ca_key,
            "-addext", "extendedKeyUsage=clientAuth", "-addext",
            "basicConstraints=critical,CA:FALSE")

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as out:
            out.write(text)
        return self.path(name)

    def start(self, args, server=False, **kwargs):
        child = Child(args, cpus=self.server_cpus if server else
                      self.client_cpus, **kwargs)
        self.children.append(child)
        return child

    def end(self, child, how=signal.SIGKILL):
        self.children.remove(child)
        child.kill(how)

    def close(self):
        for child in reversed(self.children):
            child.kill()
        shutil.rmtree(self.folder)

    # -- ours -------------------------------------------------------------

    def relay_config(self, agents, extra="", quotas=("",)):
        """Of that many agents in turn for each tenant, which has keys of its
        own in relay.yaml, as "requests: 20"."""
        keys = subprocess.run(
            [DRIVER, "keys", "--count", str(agents)], check=True,
            capture_output=True, text=True).stdout.split()
        def known(mine):
            return "certificates: [agent.bench]" if self.ca else \
                "keys: [%s]" % ", ".join('"%s"' % key for key in mine)

        tenants = "\n".join("""  - name: bench%d
    %s
    vms: [%s]
    %s""" % (i, known(keys[2 * i::2 * len(quotas)]),
             ", ".join(keys[2 * i + 1::2 * len(quotas)]), quota)
                            for i, quota in enumerate(quotas))
        by_ca = "  client-ca: %s\nagents:\n  auth: [mtls]\n" % self.ca \
            if self.ca else ""
        limits = "\n".join("  %s: %s" % item for item in
                           AGENT_LIMITS.items())
        return self.write("relay.yaml", """name: localhost
base: /sev
user: nobody
state: ""
admin:
  socket: %s
takeover:
  socket: %s
public:
  listen: ["127.0.0.1:%d"]
  certificate: %s
  key: %s
%sinternal:
  listen: ["127.0.0.1:%d"]
  certificate: %s
  key: %s
hosts:
  auth: [bearer]
  tokens:
    - name: bench
      sha256: %s
tenants:
%s
log:
  access: no
  level: warn
limits:
%s
%s""" % (self.path("admin.sock"), self.path("takeover.sock"), self.public, self.cert, self.key, by_ca, self.internal, self.cert, self.key,
         hashlib.sha256(TOKEN.encode()).hexdigest(),
         tenants, limits, extra))

    def start_relay(self, config, *args):
        relay = self.start([os.path.join(BIN, "attest-relay"), "--config",
                            config, *args], server=True,
                           log=self.path("relay.log"))
        wait_port(self.internal)
        return relay

    def agents(self, most, *args):
        return self.start(
            [DRIVER, "agents", "--to", "127.0.0.1:%d" % self.public,
             "--count", most, "--token", TOKEN, *args], stdin=True)

    # -- peers --------------------------------------------------------------

    def backend(self, tls=False):
        port = free_port()
        args = ["--cert", self.cert, "--key", self.key] if tls else []
        child = self.start([DRIVER, "backend", "--to", "127.0.0.1:%d" % port,
                            *args])
        child.event()
        return port

    def haproxy(self, backend):
        port = free_port()
        shutil.copy(self.cert, self.path("haproxy.pem"))
        with open(self.path("haproxy.pem"), "a", encoding="ascii") as out, \
                open(self.key, encoding="ascii") as key:
            out.write(key.read())
        threads = 1 if self.server_cpus else 2
        config = self.write("haproxy-%d.cfg" % port, """
global
  nbthread %d
  maxconn 4000
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  option http-keep-alive
  http-reuse always
frontend front
  bind 127.0.0.1:%d ssl crt %s alpn http/1.1
  default_backend back
backend back
  server one 127.0.0.1:%d
""" % (threads, port, self.path("haproxy.pem"), backend))
        child = self.start(["haproxy", "-db", "-f", config], server=True)
        wait_port(port)
        return port, [child.pid]

    def nginx(self, backend):
        port = free_port()
        processes = 1 if self.server_cpus else 2
        config = self.write("nginx.conf", """
daemon off;
master_process on;
user nobody nogroup;
worker_processes %d;
error_log /dev/null;
pid %s;
events { worker_connections 10000; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_buffer_size 64k;
  client_body_temp_path %s;
  proxy_temp_path %s;
  fastcgi_temp_path %s;
  uwsgi_temp_path %s;
  scgi_temp_path %s;
  upstream back {
    server 127.0.0.1:%d;
    keepalive 512;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:%d ssl;
    ssl_certificate %s;
    ssl_certificate_key %s;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    location / {
      proxy_pass http://back;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffers 8 16k;
    }
  }
}
""" % (processes, self.path("nginx.pid"), *[self.path("nginx-%d" % i)
       for i in range(5)], backend, port, self.cert, self.key))
        child = self.start(["nginx", "-c", config], server=True)
        wait_port(port)
        return port, [child.pid] + children_of(child.pid)

    def ssh(self, backend):
        """haproxy ends TLS in front of a port that ssh -R forwards."""
        port, forwarded = free_port(), free_port()
        host_key, user_key = self.path("ssh_host"), self.path("ssh_user")
        for key in host_key, user_key:
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "",
                            "-f", key], check=True)
        os.makedirs("/run/sshd", exist_ok=True)
        config = self.write("sshd_config", """
ListenAddress 127.0.0.1:%d
HostKey %s
AuthorizedKeysFile %s.pub
StrictModes no
UsePAM no
PermitRootLogin yes
PidFile none
""" % (port, host_key, user_key))
        daemon = self.start(["/usr/sbin/sshd", "-D", "-f", config],
                            server=True, log=self.path("sshd.log"))
        wait_port(port)
        self.start(["ssh", "-N", "-T", "-p", str(port), "-i", user_key, "-o",
                    "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=" +
                    self.path("known"), "-o", "ExitOnForwardFailure=yes",
                    "-R", "127.0.0.1:%d:127.0.0.1:%d" % (forwarded, backend),
                    "root@127.0.0.1"], log=self.path("ssh.log"))
        wait_port(forwarded)
        front, pids = self.haproxy(forwarded)
        return front, pids + [daemon.pid] + children_of(daemon.pid)

    # -- load ---------------------------------------------------------------

    def load(self, port, *args, pids=()):
        command = [DRIVER, "load", "--to", "127.0.0.1:%d" % port, "--token",
                   TOKEN, *args]
        for pid in pids:
            command += ["--pid", pid]
        child = self.start(command)
        result = child.event()
        self.end(child)
        done = sum(result[name] for name in ("ok", "wrong", "refused"))
        result["cpu"] = sum(result["cpu_us"]) / done if done else 0
        return result


def children_of(pid):
    """Process ids below ${pid}, at any depth."""
    found = []
    with open("/proc/%d/task/%d/children" % (pid, pid),
              encoding="ascii") as children:
        for child in children.read().split():
            found += [int(child)] + children_of(int(child))
    return found


def median(values):
    return statistics.median(values)
