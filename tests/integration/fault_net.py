"""A network between two programs that a test controls: TCP through a
middlebox that loses, cuts, holds and forgets connections on demand.

A connection that is forgotten is what a NAT leaves of one whose mapping it
lost: both ends stay as they are, nothing they send arrives, and neither hears
of it.  The next connection has another source port.
"""

import collections
import ctypes
import os
import selectors
import socket
import struct
import threading
import time

AT_ONCE = 65536  # bytes read in one go
ROOM = 1 << 20  # bytes on the way before a sender is held up
UP, DOWN = "up", "down"  # to the target; back
CLONE_NEWNET = 0x40000000


def enter(namespace):
    """This thread, and no other, is in that network namespace from now on."""
    with open(os.path.join("/run/netns", namespace), "rb") as f:
        if ctypes.CDLL(None, use_errno=True).setns(
                f.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns " + namespace)


class Way:
    """One direction of a connection."""

    def __init__(self, source, sink):
        self.source = source
        self.sink = sink
        self.parcels = collections.deque()  # (not before, bytes)
        self.waiting = 0  # bytes in parcels
        self.ended = False  # the source has no more
        self.closed = False  # and the sink knows
        self.passed = 0  # bytes that have left


class Flow:
    """A connection through the middlebox."""

    def __init__(self, near, far):
        self.near = near
        self.far = far
        self.ways = {UP: Way(near, far), DOWN: Way(far, near)}
        self.cut = None  # (way, bytes left, act)
        self.held_until = 0.0
        self.delay = 0.0
        self.over = False


class Middlebox:
    """Forwards TCP from a port of its own to a target that may change, which
    may be in another network namespace."""

    def __init__(self, namespace=None):
        self.target = None  # (address, port)
        self.namespace = namespace
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.flows = []
        self.graves = []  # sockets of forgotten flows, open for their ends
        self.next_cut = None  # for the next connection: (way, bytes, act)
        self.counts = collections.Counter()
        self.lock = threading.Lock()
        self.ending = False
        self.picker = selectors.DefaultSelector()
        self.wake_out, self.wake_in = os.pipe()
        os.set_blocking(self.wake_out, False)
        self.picker.register(self.listener, selectors.EVENT_READ, None)
        self.picker.register(self.wake_out, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # -- what a test does -------------------------------------------------

    def _upon(self, act):
        """act(flow) for all that live; how many did."""
        with self.lock:
            live = [flow for flow in self.flows if not flow.over]
            for flow in live:
                act(flow)
        os.write(self.wake_in, b".")
        return len(live)

    def forget(self):
        """A NAT that lost its mappings, or got another address."""
        return self._upon(self._forget)

    def reset(self):
        return self._upon(self._reset)

    def hang_up(self):
        """FIN to both ends; what was on its way is lost."""
        return self._upon(self._close)

    def hold(self, seconds):
        """Nothing arrives for so long; then all of it does, late."""
        until = time.monotonic() + seconds

        def act(flow):
            flow.held_until = until
        return self._upon(act)

    def slow(self, seconds):
        """From now on each read arrives so much later."""
        def act(flow):
            flow.delay = seconds
        return self._upon(act)

    def cut(self, way, count, act):
        """After so many more bytes that way; act is forget, reset or
        hang_up."""
        acts = {"forget": self._forget, "reset": self._reset,
                "hang_up": self._close}

        def arm(flow):
            flow.cut = [way, count, acts[act]]
        done = self._upon(arm)
        if done == 0:
            with self.lock:
                self.next_cut = (way, count, acts[act])
        return done

    def bury(self):
        """Close what was forgotten: its ends have given up."""
        with self.lock:
            graves, self.graves = self.graves, []
        for sock in graves:
            sock.close()

    def close(self):
        self.ending = True
        os.write(self.wake_in, b".")
        self.thread.join(10)
        self.bury()
        for flow in self.flows:
            flow.near.close()
            flow.far.close()
        self.listener.close()
        self.picker.close()
        os.close(self.wake_in)
        os.close(self.wake_out)

    # -- ends of connections, in the lock ---------------------------------

    def _unpick(self, flow):
        flow.over = True
        for sock in (flow.near, flow.far):
            try:
                self.picker.unregister(sock)
            except (KeyError, ValueError):
                pass

    def _forget(self, flow):
        self._unpick(flow)
        self.graves += [flow.near, flow.far]
        self.counts["forgotten"] += 1

    def _reset(self, flow):
        self._unpick(flow)
        for sock in (flow.near, flow.far):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
            sock.close()
        self.counts["reset"] += 1

    def _close(self, flow):
        self._unpick(flow)
        flow.near.close()
        flow.far.close()
        self.counts["closed"] += 1

    # -- the loop ---------------------------------------------------------

    def _run(self):
        if self.namespace:
            enter(self.namespace)
        while not self.ending:
            with self.lock:
                wait = self._plan()
            ready = self.picker.select(wait)
            with self.lock:
                for key, _ in ready:
                    self._ready(key)
                for flow in self.flows:
                    if not flow.over:
                        self._push(flow)

    def _ready(self, key):
        if key.fileobj is self.listener:
            self._accept()
        elif key.fileobj == self.wake_out:
            os.read(self.wake_out, 4096)
        elif not key.data.over:
            self._read(key.data, key.fileobj)

    def _accept(self):
        try:
            near, _ = self.listener.accept()
        except OSError:
            return
        near.setblocking(False)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far = socket.socket()
        try:
            far.connect(self.target)
        except OSError:
            # Nobody listens there: the caller hears the same.
            far.close()
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
            near.close()
            return
        far.setblocking(False)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        flow = Flow(near, far)
        if self.next_cut is not None:
            flow.cut = list(self.next_cut)
            self.next_cut = None
        self.flows.append(flow)
        self.counts["connections"] += 1

    def _plan(self):
        """Say what to watch; seconds until something is due, or None."""
        now = time.monotonic()
        due = []
        self.flows = [flow for flow in self.flows if not flow.over]
        for flow in self.flows:
            for sock in (flow.near, flow.far):
                self._watch(flow, sock, now)
            for way in flow.ways.values():
                if way.parcels:
                    at = max(way.parcels[0][0], flow.held_until)
                    if at > now:
                        due.append(at - now)
            if flow.held_until > now:
                due.append(flow.held_until - now)
        return min(due) if due else None

    def _watch(self, flow, sock, now):
        events = 0
        for way in flow.ways.values():
            if way.source is sock and not way.ended and way.waiting < ROOM:
                events |= selectors.EVENT_READ
            if way.sink is sock and way.parcels and \
                    max(way.parcels[0][0], flow.held_until) <= now:
                events |= selectors.EVENT_WRITE
        known = self.picker.get_map().get(sock)
        if known is None and events:
            self.picker.register(sock, events, flow)
        elif known is not None and not events:
            self.picker.unregister(sock)
        elif known is not None and known.events != events:
            self.picker.modify(sock, events, flow)

    def _read(self, flow, sock):
        for way in flow.ways.values():
            if way.source is not sock or way.ended or way.waiting >= ROOM:
                continue
            try:
                data = sock.recv(AT_ONCE)
            except BlockingIOError:
                continue
            except OSError:
                self._reset(flow)
                return
            if not data:
                way.ended = True
                continue
            way.parcels.append((time.monotonic() + flow.delay, data))
            way.waiting += len(data)

    def _push(self, flow):
        """Deliver what is due."""
        now = time.monotonic()
        if now < flow.held_until:
            return
        for name, way in flow.ways.items():
            while way.parcels and way.parcels[0][0] <= now:
                if not self._send(flow, name, way):
                    break
                if flow.over:
                    return
            if way.ended and not way.parcels and not way.closed:
                way.closed = True
                try:
                    way.sink.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
        if all(way.closed for way in flow.ways.values()):
            self._unpick(flow)
            flow.near.close()
            flow.far.close()

    def _send(self, flow, name, way):
        """The first parcel, or some of it; False: the sink is full."""
        at, data = way.parcels.popleft()
        most = len(data)
        if flow.cut is not None and flow.cut[0] == name:
            most = min(most, flow.cut[1])
        try:
            sent = way.sink.send(data[:most]) if most else 0
        except BlockingIOError:
            way.parcels.appendleft((at, data))
            return False
        except OSError:  # the sink is gone
            self._reset(flow)
            return True
        way.passed += sent
        way.waiting -= sent
        if sent < len(data):
            way.parcels.appendleft((at, data[sent:]))
        if flow.cut is not None and flow.cut[0] == name:
            flow.cut[1] -= sent
            if flow.cut[1] <= 0:
                flow.cut[2](flow)
                return True
        return sent == most
