"""Rights that change while one relay takes the place of another: what the
operator tells the new one holds at once for tunnels of the old one (T43)."""

import os
import shutil
import signal
import time
import unittest
import uuid

import fake_agent
import harness
import relay_case


class Succession(relay_case.RelayCase):
    """Agents that do not move, so that the take-over lasts."""

    def setUp(self):
        self.leaving = fake_agent.Key()
        self.old = []
        super().setUp()
        self.addCleanup(lambda: [p.kill() for p in self.old])

    def tenants(self):
        return {"acme": (self.key_of(self.key), [self.vm]),
                "leaves": (self.key_of(self.leaving), [])}

    def start(self, extra=None):
        # Whoever they become: they read their files again.
        os.chmod(self.lab.folder, 0o755)
        os.chmod(self.lab.server[1], 0o644)
        if os.geteuid() == 0:
            shutil.chown(self.lab.folder, "nobody")
        self.write()
        self.lab.run_relay(self.config)
        self.write()

    def write(self, tenants=None):
        self.config = self.lab.relay_config(
            tenants or self.tenants(),
            "channel-binding: off\nagents: {auth: [key, token]}\n"
            "timeouts: {drain: 60s}\n")

    def take_over(self):
        """The new relay serves; admin words go there from now on."""
        old = self.lab.relay
        self.old.append(old)
        self.lab.run_relay(self.config, "--takeover")
        old.wait_line("takes over: agents move there")
        return old

    def gone_at_once(self, tunnel, act):
        """act() ends the tunnel within a second, and no other one."""
        stays = self.tunnel(claim=[self.vm])
        self.take_over()
        act()
        before = time.monotonic()
        self.assertEqual(tunnel.wait_close(), 4402)
        self.assertLess(time.monotonic() - before, 1)
        self.assertEqual(stays.claim(self.vm), [0])

    def test_t43_a_key_revoked(self):
        key = fake_agent.Key()
        self.lab.ctl("keys", "add", "--tenant", "acme", key.text())
        self.gone_at_once(self.tunnel(key), lambda: self.lab.ctl(
            "keys", "revoke", key.text()))

    def test_t43_a_token_revoked(self):
        token = self.lab.ctl("token", "create", "--tenant", "acme",
                             "--agent").stdout.strip()
        tunnel = self.tunnel(fake_agent.Key(),
                             extra="Authorization: Bearer %s\r\n" % token)
        self.gone_at_once(tunnel, lambda: self.lab.ctl(
            "tokens", "revoke", "1"))

    def test_t43_a_tenant_removed(self):
        key = fake_agent.Key()
        self.lab.ctl("tenants", "add", "zeta")
        self.lab.ctl("keys", "add", "--tenant", "zeta", key.text())
        self.gone_at_once(self.tunnel(key), lambda: self.lab.ctl(
            "tenants", "remove", "zeta"))

    def without_one(self):
        tenants = self.tenants()
        del tenants["leaves"]
        self.write(tenants)

    def test_t43_a_tenant_taken_out_of_the_file(self):
        def act():
            self.without_one()
            self.lab.ctl("reload")
        self.gone_at_once(self.tunnel(self.leaving), act)

    def test_t43_the_new_one_does_not_know_a_tenant(self):
        tunnel = self.tunnel(self.leaving)
        self.without_one()
        self.take_over()
        before = time.monotonic()
        self.assertEqual(tunnel.wait_close(), 4402)
        self.assertLess(time.monotonic() - before, 1)

    def test_t11_a_uuid_released(self):
        """Until all agents have moved, hosts are the old one's."""
        vm = str(uuid.uuid4())
        self.lab.ctl("claims", "add", "--tenant", "acme", vm)
        fake_agent.Echo(self.tunnel(claim=[vm, self.vm]))
        old = self.take_over()
        self.assertEqual(self.ask(vm=vm).status, 200)
        self.lab.ctl("claims", "release", vm)
        # Known there once the next word about it is: they go in order.
        mark = old.mark()
        self.lab.ctl("reload")
        old.wait_line("reloaded: ", mark)
        harness.eventually(lambda: self.ask(vm=vm).status == 503)
        self.assertEqual(self.ask().status, 200)

    def test_t43_through_the_one_between(self):
        """Three at once: the first still has a request to end."""
        tunnel = self.tunnel(claim=[self.vm])
        host = self.client()
        host.send(self.head(length=2).encode() + b"{}")
        tunnel.request()
        first = self.take_over()
        second = self.lab.relay
        first.child.send_signal(signal.SIGTERM)
        second.wait_line("taken over: hosts are accepted")
        self.take_over()
        self.lab.relay.wait_line("taken over: hosts are accepted")
        self.lab.ctl("keys", "revoke", self.key.text())
        before = time.monotonic()
        self.assertEqual(tunnel.wait_close(), 4402)
        self.assertLess(time.monotonic() - before, 1)
        self.problem(host.answer(), 502, "tunnel-lost")
        for relay in first, second:
            self.assertEqual(relay.wait(), 0)

    def test_who_dies_leaves_what_it_let_in(self):
        """A key that only the new one got to know, and then it dies."""
        self.tunnel()
        old = self.take_over()
        key = fake_agent.Key()
        self.lab.ctl("keys", "add", "--tenant", "acme", key.text())
        self.lab.ctl("keys", "revoke", self.leaving.text())
        self.lab.relay.kill()
        old.wait_line("serving on")
        self.assertEqual(self.tunnel(key).claim(self.vm), [0])
        with self.assertRaises(fake_agent.Closed) as caught:
            self.tunnel(self.leaving)
        self.assertEqual(caught.exception.code, 4402)

    def test_told_to_end_too_soon(self):
        """The new one goes before all have moved: the old one serves on, and
        what it was told meanwhile holds."""
        if os.geteuid() == 0:
            # Not root any more, the old one makes its sockets anew.
            shutil.chown(self.lab.folder, "nobody")
        fake_agent.Echo(self.tunnel(claim=[self.vm]))
        old = self.take_over()
        new = self.lab.relay
        key = fake_agent.Key()
        self.lab.ctl("keys", "add", "--tenant", "acme", key.text())
        new.child.send_signal(signal.SIGTERM)
        old.wait_line("have their names again")
        old.wait_line("serving on")
        self.assertEqual(new.wait(), 0)
        self.assertEqual(self.ask().status, 200)
        self.assertEqual(self.tunnel(key).claim(str(uuid.uuid4())), [1])
        self.lab.relay = old
        self.old.remove(old)
        self.take_over()

    def test_bodies_that_a_parcel_has_no_room_for(self):
        """Those of KBS paths: whoever sends them may send them again."""
        self.tunnel(self.leaving)
        self.take_over()
        t = self.tunnel()
        self.assertEqual(t.claim(self.vm, capabilities=1), [0])

        def ask(size, answer):
            host = self.client()
            host.send(self.head(verb="kbs/v0/attest", length=size).encode() +
                      b"x" * size)
            if answer is not None:
                t.respond_paced(t.request()[0], b"y" * answer)
            return host.answer()
        got = ask(65536, 65536)
        self.assertEqual((got.status, got.body), (200, b"y" * 65536))
        self.problem(ask(65537, None), 503, "overloaded")
        self.problem(ask(2, 65537), 503, "overloaded")
        self.assertEqual(ask(2, 2).body, b"yy")


if __name__ == "__main__":
    unittest.main(verbosity=2)
