"""Compute hosts that are killed, repeat themselves and forget what they were
told.  Each has a process of its own for its secure processor (compute-host
serve) and speaks HTTP by itself, as docs/protocol.md 7 says, but for its
patience: it waits far shorter than Retry-After, which must do no harm (R1)."""

import json
import os
import random
import socket
import ssl
import subprocess
import threading
import time

import harness

AGAIN = (429, 502, 503, 504)
PAUSE = (0.005, 0.06)  # seconds between two tries
TRY_FOR = 2.0  # seconds for the first, and longer each time ...
TRY_FOR_MOST = 30.0  # ... on a machine that is that slow


class Killed(Exception):
    """This host is no more."""


class Refused(Exception):
    """An answer that ends the start."""

    def __init__(self, call):
        super().__init__("%s: %d %s" % (call.request_id, call.status,
                                        call.problem))
        self.call = call


def member(body, name):
    """Of an answer; what is no JSON is not to pass for a lost connection."""
    try:
        return json.loads(body)[name]
    except (ValueError, KeyError, TypeError):
        return "malformed"


class Machine:
    """The hardware of a host, and what runs on it."""

    def __init__(self):
        self.child = subprocess.Popen(
            [os.path.join(harness.TESTBIN, "compute-host"), "serve",
             "--platform", harness.PLATFORM, "--firmware", harness.FIRMWARE,
             "--chain", "signed"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, do, **more):
        self.child.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.child.stdin.flush()
        answer = json.loads(self.child.stdout.readline())
        if "error" in answer:
            raise AssertionError("%s: %s" % (do, answer["error"]))
        return answer

    def kill(self):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()


class Machines:
    """Those that stand idle."""

    def __init__(self):
        self.idle = []
        self.lock = threading.Lock()

    def take(self):
        with self.lock:
            if self.idle:
                return self.idle.pop()
        return Machine()

    def give(self, machine):
        with self.lock:
            self.idle.append(machine)

    def close(self):
        for machine in self.idle:
            machine.kill()


class Line:
    """One HTTPS connection."""

    def __init__(self, lab, seconds):
        raw = socket.create_connection(("127.0.0.1", lab.host_net.port),
                                       seconds)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            raw.getpeername()  # else ssl leaves one that was reset open
            self.sock = lab.tls.wrap_socket(raw, server_hostname=lab.name)
        except (OSError, ValueError):
            raw.close()
            raise
        self.token = lab.token

    def send(self, call):
        head = ("POST /sev/vm/%s/%s HTTP/1.1\r\nHost: localhost\r\n"
                "Authorization: Bearer %s\r\nRequest-Id: %s\r\n"
                "Content-Type: application/json\r\nContent-Length: %d\r\n" % (
                    call.vm, call.verb, self.token, call.request_id,
                    len(call.body)))
        if call.key:
            head += 'Idempotency-Key: "%s"\r\n' % call.key
        self.sock.sendall(head.encode() + b"\r\n" + call.body)

    def answer(self):
        """(status, body)"""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, body = data.split(b"\r\n\r\n", 1)
        size = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                size = int(value)
        while len(body) < size:
            body += self._more()
        return int(head.split()[1]), body

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("closed")
        return data

    def close(self):
        self.sock.close()


class Host:
    """One start of a guest, through as many hosts as it takes."""

    def __init__(self, lab, start, plan, until, seed):
        self.lab = lab
        self.start = start
        self.plan = plan
        self.until = until  # monotonic; later, the start is lost
        self.dice = random.Random(seed)
        self.line = None
        self.machine = None
        self.made = 0  # keys
        self.try_for = TRY_FOR
        self.done = []  # (verb, request) that may come again later

    # -- requests ---------------------------------------------------------

    def ask(self, verb, **more):
        self.lab.events.happen("asked")
        return self.lab.history.ask(self.start, verb, **more)

    def connection(self):
        if self.line is None or self.plan.fresh:
            self.drop()
            self.line = Line(self.lab, self.try_for)
        self.line.sock.settimeout(self.try_for)
        return self.line

    def drop(self):
        if self.line is not None:
            self.line.close()
        self.line = None

    def hear(self, call, line):
        """Wait for the answer of a request that was sent."""
        try:
            status, body = line.answer()
        finally:
            call.ended = time.monotonic()
        if status == 200:
            call.seen = self.lab.written()
            call.session = member(body, "session-id")
        else:
            call.problem = member(body, "type").rpartition(":")[2]
        call.answer = body
        call.status = status
        self.lab.events.happen("answered")
        return call

    def once(self, verb, **request):
        """One try; status 0 is a lost connection."""
        call = self.ask(verb, **request)
        try:
            line = self.connection()
            line.send(call)
            self.hear(call, line)
        except (OSError, ValueError):
            self.drop()
        return call

    def persist(self, verb, **request):
        """Until there is a final answer (docs/protocol.md 7)."""
        self.try_for = TRY_FOR
        while True:
            call = self.once(verb, **request)
            if call.status == 200:
                return call
            if call.status not in (0, *AGAIN) and \
                    call.problem != "in-progress":
                raise Refused(call)
            if time.monotonic() > self.until:
                raise AssertionError("start %s: lost; the last answer was %d "
                                     "%s" % (self.start.name, call.status,
                                             call.problem))
            self.lab.count("retries")
            self.try_for = min(self.try_for * 1.25, TRY_FOR_MOST)
            time.sleep(self.dice.uniform(*PAUSE))

    def twice(self, verb, **request):
        """At once on two connections; the last good answer, or None."""
        pair = []
        last = None
        for _ in range(2):
            call = self.ask(verb, **request)
            try:
                line = Line(self.lab, self.try_for)
            except (OSError, ValueError):
                continue
            pair.append((call, line))
            try:
                line.send(call)
            except (OSError, ValueError):
                pass
        for call, line in pair:
            try:
                self.hear(call, line)
                if call.status == 200:
                    last = call
            except (OSError, ValueError):
                pass
            line.close()
        return last

    def request(self, how, verb, **request):
        """As the plan says; the call whose answer counts."""
        self.lab.count("messages " + how)
        if how == "twice":
            last = self.twice(verb, **request)
            if last is not None:
                return last
        elif how == "drop":
            self.fling(verb, **request)
        elif how == "throw-away":
            # The same as an answer that was lost behind the relay.
            self.once(verb, **request)
        return self.persist(verb, **request)

    def fling(self, verb, **request):
        """Sent, and the connection closed at once."""
        call = self.ask(verb, **request)
        try:
            self.connection().send(call)
        except (OSError, ValueError):
            pass
        self.drop()

    # -- a life -----------------------------------------------------------

    def die_if(self, death, at):
        if death != at:
            return
        self.lab.count("fault host-kill")
        self.machine.kill()
        self.machine = None
        self.drop()
        raise Killed

    def launch(self, death):
        body = json.dumps(self.machine.tell("request")["request"]).encode()
        self.made += 1
        key = "%s-%d" % (self.start.name, self.made) if self.plan.keyed \
            else ""
        request = {"key": key, "body": body}
        if death == "asked-launch":
            self.fling("launch", **request)
            self.die_if(death, "asked-launch")
        call = self.request(self.plan.launch, "launch", **request)
        self.done.append(("launch", request))
        self.die_if(death, "launched")
        return call

    def measured(self, launched):
        """A guest from that launch: its number, and what to validate."""
        got = self.machine.tell("start", answer=launched.answer.decode())
        body = dict(got["request"])
        if not self.plan.named:
            body.pop("session-id", None)
        return got["guest"], {"body": json.dumps(body).encode(),
                              "measurement": body["measurement"],
                              "blob": launched.session}

    def validate(self, death, request):
        if death == "asked-validate":
            self.fling("validate", **request)
            self.die_if(death, "asked-validate")
        call = self.request(self.plan.validate, "validate", **request)
        self.done.append(("validate", request))
        self.die_if(death, "answered")
        return call

    def life(self, death):
        self.machine = self.lab.machines.take()
        launched = self.launch(death)
        guest, request = self.measured(launched)
        self.lab.events.happen("measured")
        self.die_if(death, "measured")
        answered = self.validate(death, request)
        opened = self.machine.tell("open", guest=guest,
                                   answer=answered.answer.decode())
        self.lab.history.open(self.start, answered.session,
                              request["measurement"], opened["secret"])
        self.start.outcome = "opened"
        self.lab.events.happen("opened")
        self.machine.tell("end", guest=guest)
        for verb, again in self.done[-2:]:
            if verb in self.plan.late:
                self.again(verb, again)
        if self.plan.rogue:
            self.second_guest(launched)

    def again(self, verb, request):
        """When all is done: what comes of it is judged by the checker."""
        self.lab.count("messages late")
        try:
            self.persist(verb, **request)
        except Refused:
            pass

    def second_guest(self, launched):
        """Of a launch blob that has served: it gets nothing."""
        self.lab.count("second guests")
        guest, request = self.measured(launched)
        self.done.clear()  # the session is frozen: repeats get 409
        try:
            self.persist("validate", rogue=True, **request)
        except Refused:
            pass
        self.machine.tell("end", guest=guest)

    def run(self):
        deaths = list(self.plan.deaths)
        time.sleep(self.plan.wait)  # spreads the beginnings, by the plan
        try:
            while True:
                try:
                    self.life(deaths.pop(0) if deaths else None)
                    return
                except Killed:
                    pass  # another host takes it on
        except Refused as why:
            self.start.outcome = "refused" if why.call.problem == "refused" \
                else str(why)
        finally:
            self.drop()
            if self.machine is not None:
                self.lab.machines.give(self.machine)


def context(ca):
    tls = ssl.create_default_context(cafile=ca)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    return tls
