"""What every integration test needs: the real binaries, started and ended.

A Lab is one temporary folder with a certificate authority, at most one relay
and any number of agents, and the platform whose secure processor opens what
they release.  Nothing sleeps: each start waits for the line the program
prints when it is ready, with a deadline.
"""

import base64
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid

# A relay that root starts is another user, who reads what the tests write.
os.umask(0o022)

BIN = os.environ["BIN"]
TESTBIN = os.environ["TESTBIN"]
SOURCE = os.environ["SOURCE_DIR"]
FIXTURES = os.path.join(SOURCE, "tests", "fixtures")
FIRMWARE = os.path.join(FIXTURES, "firmware", "synthetic-fw-a.bin")
OTHER_FIRMWARE = os.path.join(FIXTURES, "firmware", "synthetic-fw-b.bin")
PLATFORM = os.path.join(FIXTURES, "certs", "synthetic-a")

# Generous, since the sanitizers and a busy machine slow everything; no test
# waits this long unless it is about to fail.
PATIENCE = 60


def run(args, ok=(0,), timeout=PATIENCE, **kwargs):
    """Run a program to its end; its status must be one of ok."""
    done = subprocess.run(
        [str(a) for a in args], capture_output=True, text=True,
        timeout=timeout, **kwargs)
    if ok is not None and done.returncode not in ok:
        raise AssertionError(
            "%s: status %d, want %s\nstdout: %s\nstderr: %s" % (
                " ".join(str(a) for a in args), done.returncode, ok,
                done.stdout, done.stderr))
    return done


def eventually(holds, patience=PATIENCE):
    """Until holds(): for what gives no event, such as /proc, a counter, or an
    answer that depends on what another process has not told anybody."""
    until = time.monotonic() + patience
    while not holds():
        if time.monotonic() > until:
            raise AssertionError("it never came to that")
        time.sleep(0.02)


class Process:
    """A program in the background, its output kept and waited for."""

    def __init__(self, name, args, log, **kwargs):
        self.name = name
        self.lines = []
        self.log = open(log, "ab")
        self.more = threading.Condition()
        self.ended = False
        self.child = subprocess.Popen(
            [str(a) for a in args], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs)
        self.pump = threading.Thread(target=self._pump, daemon=True)
        self.pump.start()

    def _pump(self):
        for raw in self.child.stdout:
            self.log.write(raw)
            self.log.flush()
            with self.more:
                self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                self.more.notify_all()
        with self.more:
            self.ended = True
            self.more.notify_all()

    def mark(self):
        """A place in the output, for wait_line(since=...)."""
        with self.more:
            return len(self.lines)

    def wait_line(self, pattern, since=0, timeout=PATIENCE):
        """The first line from `since` on that matches, as a match object."""
        want = re.compile(pattern)
        deadline = time.monotonic() + timeout
        at = since
        with self.more:
            while True:
                while at < len(self.lines):
                    found = want.search(self.lines[at])
                    if found:
                        return found
                    at += 1
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    raise AssertionError("%s: no line like %r; it said:\n%s" % (
                        self.name, pattern, "\n".join(self.lines[-40:])))
                self.more.wait(left)

    def says_more(self, since, seconds):
        """Is there a line from `since` on before as much time is over?"""
        with self.more:
            return self.more.wait_for(
                lambda: self.ended or len(self.lines) > since, seconds)

    def ends_within(self, seconds):
        """Does it end before as much time is over?"""
        with self.more:
            return self.more.wait_for(lambda: self.ended, max(0, seconds))

    def output(self):
        with self.more:
            return "\n".join(self.lines)

    def kill(self):
        """As the power does it."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGKILL)
        return self._reap()

    def stop(self, timeout=PATIENCE):
        """SIGTERM, and the exit status that follows."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        return self._reap(timeout)

    def wait(self, timeout=PATIENCE):
        return self._reap(timeout)

    def _reap(self, timeout=PATIENCE):
        try:
            status = self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError("%s did not end; it said:\n%s" % (
                self.name, "\n".join(self.lines[-40:])))
        self.pump.join(timeout)
        self.child.stdout.close()
        self.log.close()
        return status


class Ca:
    """A throw-away certificate authority (P-256), by the openssl program."""

    def __init__(self, folder, name="ca"):
        self.folder = folder
        self.key = os.path.join(folder, name + ".key")
        self.cert = os.path.join(folder, name + ".crt")
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=attest-relay test CA " + name,
             "-keyout", self.key, "-out", self.cert])

    def issue(self, name, sans, days=2, usage="serverAuth"):
        """A certificate and its key: paths (cert, key)."""
        base = os.path.join(self.folder, name)
        ext = base + ".ext"
        with open(ext, "w", encoding="ascii") as out:
            out.write("subjectAltName=%s\nextendedKeyUsage=%s\n" % (
                ",".join(sans), usage))
        run(["openssl", "req", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
             "/CN=" + name, "-keyout", base + ".key", "-out", base + ".csr"])
        run(["openssl", "x509", "-req", "-in", base + ".csr", "-CA", self.cert,
             "-CAkey", self.key, "-CAcreateserial", "-days", str(days),
             "-extfile", ext, "-out", base + ".crt"])
        return base + ".crt", base + ".key"


def new_passphrase():
    return "pass-" + secrets.token_hex(12)


class Agent:
    """One owner: a state folder, a key, and `attest-agent run` at times."""

    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.state = os.path.join(lab.folder, name + ".state")
        self.log = os.path.join(lab.folder, name + ".log")
        self.process = None
        self.key = self.cli("key", "new").stdout.strip().splitlines()[-1]

    def cli(self, *args, ok=(0,), **kwargs):
        return run([os.path.join(BIN, "attest-agent"), "--state", self.state,
                    *args], ok=ok, **kwargs)

    def add(self, name, passphrase, *args, vm=None, policy="0x1",
            firmware=FIRMWARE, platform=PLATFORM, ok=(0,)):
        """Register a VM; returns its UUID."""
        path = os.path.join(self.lab.folder, "secret-" + secrets.token_hex(4))
        with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(
                p, f, 0o600)) as out:
            out.write(passphrase)
        vm = vm or str(uuid.uuid4())
        done = self.cli(
            "vm", "add", name, "--uuid", vm, "--policy", policy,
            "--firmware", firmware,
            "--root", os.path.join(platform, "ark.cert"),
            "--root", os.path.join(platform, "ask.cert"),
            "--cloud-cert", os.path.join(platform, "oca.cert"),
            "--secret-file", path, *args, ok=ok)
        os.unlink(path)
        return vm if done.returncode == 0 else None

    def start(self, *args, ready=True, config=None):
        since = 0
        self.process = Process(self.name, [
            *self.lab.on("owner"), os.path.join(BIN, "attest-agent"),
            "--state", self.state, *(("--config", config) if config else ()),
            "run", "--relay",
            "wss://%s:%d/sev" % (self.lab.name, self.lab.relay_public),
            "--ca", self.lab.ca.cert,
            # No test asks AMD's server.
            *(() if "--key-server" in args else ("--offline",)), *args],
            self.log)
        if ready:
            self.wait_ready(since)
        return self.process

    def wait_ready(self, since=0):
        return self.process.wait_line(r"ready: relay", since)

    def kill(self):
        status = self.process.kill()
        self.process = None
        return status

    def stop(self):
        if self.process is not None:
            status = self.process.stop()
            self.process = None
            return status
        return 0


class Lab:
    """A relay, its tenants, and a compute host with a secure processor."""

    name = "localhost"
    public = internal = "127.0.0.1"

    def on(self, host):
        """What to put before a command to run it on that host."""
        return []

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="attest-lab-")
        # A relay started as root is nobody when it opens its state.
        os.chmod(self.folder, 0o711)
        self.ca = Ca(self.folder)
        self.agents = {}
        self.relay = None
        self.relay_public = 0
        self.relay_internal = 0
        self.server = self.ca.issue(self.name, ["DNS:" + self.name])
        self.token = secrets.token_hex(32)
        self.token_file = os.path.join(self.folder, "host.token")
        with open(self.token_file, "w", encoding="ascii") as out:
            out.write(self.token)

    # -- relay ------------------------------------------------------------

    def relay_config(self, tenants, extra=""):
        """Write relay.yaml for {tenant: (agent, [uuid, ...], line, ...)}."""
        cert, key = self.server
        text = [
            "name: " + self.name, "base: /sev", "public:",
            '  listen: ["%s:%d"]' % (self.public, self.relay_public),
            "  certificate: " + cert, "  key: " + key,
            "internal:",
            '  listen: ["%s:%d"]' % (self.internal, self.relay_internal),
            "  certificate: " + cert, "  key: " + key,
            "  client-ca: " + self.ca.cert,
            "hosts:", "  auth: [mtls, bearer]", "  tokens:",
            "    - name: cn-17",
            "      sha256: " + hashlib.sha256(self.token.encode()).hexdigest(),
            "tenants:"]
        for tenant, (agent, vms, *more) in tenants.items():
            text += ["  - name: " + tenant, '    keys: ["%s"]' % agent.key,
                     "    vms: [%s]" % ", ".join(vms)]
            text += ["    " + line for line in more]
        if "admin:" not in extra:
            text += ["admin:",
                     "  socket: " + os.path.join(self.folder, "admin.sock")]
        if "state:" not in extra:
            text += ["state: " + os.path.join(self.folder, "relay.state")]
        if "takeover:" not in extra:
            text += ["takeover:",
                     "  socket: " + os.path.join(self.folder, "takeover.sock")]
        text.append(extra)
        path = os.path.join(self.folder, "relay.yaml")
        with open(path, "w", encoding="ascii") as out:
            out.write("\n".join(text) + "\n")
        return path

    def start_relay(self, tenants, extra=""):
        return self.run_relay(self.relay_config(tenants, extra))

    def run_relay(self, config, *args, **kwargs):
        self.relay = Process(
            "relay", [*self.on("edge"), os.path.join(BIN, "attest-relay"),
                      "--config", config, *args],
            os.path.join(self.folder, "relay.log"), **kwargs)
        found = self.relay.wait_line(
            r"ready: public \S+:(\d+), internal \S+:(\d+)")
        # The same ports again after a restart, as a real relay has.
        self.relay_public = int(found.group(1))
        self.relay_internal = int(found.group(2))
        return self.relay

    def ctl(self, *args, ok=(0,), **kwargs):
        """attest-relayctl on the relay's admin socket."""
        return run([*self.on("edge"), os.path.join(BIN, "attest-relayctl"),
                    "--socket", os.path.join(self.folder, "admin.sock"),
                    *args], ok=ok, **kwargs)

    def agent(self, name="owner"):
        self.agents[name] = Agent(self, name)
        return self.agents[name]

    # -- compute host -------------------------------------------------------

    def service(self):
        return "https://%s:%d/sev" % (self.name, self.relay_internal)

    def host(self, verb, *args, ok=(0,), timeout=PATIENCE):
        """Play the compute host; see tests/host."""
        return run([*self.on("compute"), os.path.join(TESTBIN, "compute-host"),
                    verb, *args], ok=ok, timeout=timeout)

    def reach(self):
        """The flags by which a host reaches the relay."""
        return ["--service", self.service(), "--ca", self.ca.cert,
                "--token-file", self.token_file]

    def guest(self, vm, firmware=FIRMWARE, platform=PLATFORM, chain="signed"):
        """The flags of a host that starts one VM."""
        return [*self.reach(), "--uuid", vm, "--platform", platform,
                "--firmware", firmware, "--chain", chain]

    def file(self, name, data, mode=0o644):
        """A file of the lab; its path."""
        path = os.path.join(self.folder, name)
        with open(path, "wb") as out:
            out.write(data if isinstance(data, bytes) else data.encode())
        os.chmod(path, mode)
        return path

    def path(self, name):
        return os.path.join(self.folder, name)

    def curl(self, path, body=None, *args, token=True, timeout=PATIENCE,
             media="application/json"):
        """A plain client: (status, headers, body bytes)."""
        head = os.path.join(self.folder, "head-" + secrets.token_hex(4))
        cmd = ["curl", "-sS", "--cacert", self.ca.cert, "--max-time",
               str(timeout), "-D", head, "-H", "Content-Type: " + media]
        if token:
            cmd += ["-H", "Authorization: Bearer " + self.token]
        if body is not None:
            cmd += ["--data-binary", "@-"]
        cmd += [*args, self.service() + path]
        done = subprocess.run(cmd, input=body, capture_output=True,
                              timeout=timeout + 5)
        if done.returncode != 0:
            raise AssertionError("curl: " + done.stderr.decode())
        with open(head, encoding="ascii") as lines:
            blocks = lines.read().strip().split("\n\n")
        os.unlink(head)
        first, *fields = blocks[-1].splitlines()
        headers = {}
        for field in fields:
            name, _, value = field.partition(":")
            headers[name.strip().lower()] = value.strip()
        return int(first.split()[1]), headers, done.stdout

    # -- the end --------------------------------------------------------------

    def close(self):
        for agent in self.agents.values():
            if agent.process is not None:
                agent.process.kill()
        if self.relay is not None:
            self.relay.kill()
        if os.environ.get("KEEP"):
            print("kept", self.folder, file=sys.stderr)
        else:
            shutil.rmtree(self.folder)


class NetLab(Lab):
    """The same on the four hosts of deploy/netlab.sh."""

    name = "attest.cloud.test"
    public, internal = "198.51.100.1", "10.77.0.1"

    def __init__(self, net):
        self.net = net
        super().__init__()

    def on(self, host):
        return [os.path.join(SOURCE, "deploy", "netlab.sh"), "exec", self.net,
                host]


class LabTest(unittest.TestCase):
    """A test with one owner, one relay and one registered VM."""

    add_args = ()
    relay_extra = ""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.passphrase = new_passphrase()
        self.owner = self.lab.agent()
        self.vm = self.owner.add("web1", self.passphrase, *self.add_args)
        self.lab.start_relay({"acme": (self.owner, [self.vm])},
                             self.relay_extra)
        self.owner.start()
