"""One owner, one VM: what a launch must do, and must not."""

import json
import os
import unittest

import harness


def opened(done):
    """The secret that compute-host says the secure processor opened."""
    last = done.stdout.strip().splitlines()[-1]
    head, _, secret = last.partition(": ")
    assert head == "secret opened by the secure processor", done.stdout
    return secret


class FirstLaunch(harness.LabTest):
    def launch(self, *args, ok=(0,), **kwargs):
        return self.lab.host("launch", *self.lab.guest(self.vm, **kwargs),
                             *args, ok=ok)

    def test_client_of_the_thread_launches(self):
        """Issue 6.1, protocol.md C1: the thread's fields and no others."""
        done = self.launch("--thread-only")
        self.assertEqual(opened(done), self.passphrase)

    def test_every_form_of_the_chain(self):
        for chain in "signed", "sevctl", "full":
            with self.subTest(chain=chain):
                self.assertEqual(opened(self.launch(chain=chain)),
                                 self.passphrase)

    def test_parallel_starts_with_crossed_answers(self):
        """Issue 6.2, C2: each secret opens in its own guest only."""
        done = self.launch("--cross", "--thread-only")
        self.assertIn("BAD_MEASUREMENT", done.stdout + done.stderr)

    def step(self, name, verb="step-launch", *args, ok=(0,)):
        path = self.lab.path(name)
        self.lab.host(verb, *args, "--out", path, ok=ok)
        return path

    def test_bad_then_good_measurement(self):
        """Issue 6.5, C6: a bad try does not burn the session."""
        state = self.step("guest", "step-launch", *self.lab.guest(self.vm))
        for what in "measurement", "nonce", "build":
            bad = self.lab.host("step-validate", "--corrupt", what, "--json",
                                state, ok=(1,))
            problem = json.loads(bad.stdout.splitlines()[-1])
            self.assertEqual(problem["status"], 403)
            self.assertIn("measurement-mismatch", bad.stdout)
        answer = self.step("answer", "step-validate", state)
        done = self.lab.host("step-open", state, answer)
        self.assertEqual(opened(done), self.passphrase)

    def test_launch_blob_serves_one_guest(self):
        """Issue 6.5, T6: a second guest of one blob gets 409, for good."""
        first = self.step("first", "step-launch", *self.lab.guest(self.vm))
        second = self.step("second", "step-start", "--from", first)
        self.step("answer", "step-validate", first)
        again = self.lab.host("step-validate", "--json", second, ok=(1,))
        self.assertIn("launch-blob-reused", again.stdout)
        self.assertEqual(
            json.loads(again.stdout.splitlines()[-1])["status"], 409)
        log = self.owner.cli("log", "show").stdout
        self.assertIn("reused", log)

    def test_repeats_are_byte_identical(self):
        """T7: the stored answer, and one release in the log."""
        state = self.step("guest", "step-launch", *self.lab.guest(self.vm))
        answers = set()
        for i in range(5):
            path = self.step("answer%d" % i, "step-validate", state)
            with open(path, "rb") as body:
                answers.add(body.read())
        self.assertEqual(len(answers), 1)
        log = self.owner.cli("log", "show", "--json").stdout
        self.assertEqual(log.count('"released"'), 1, log)

    def test_session_of_one_vm_is_none_of_another(self):
        other = self.owner.add("web2", harness.new_passphrase())
        self.lab.relay.kill()
        seen = self.owner.process.mark()
        self.lab.start_relay({"acme": (self.owner, [self.vm, other])})
        self.owner.wait_ready(seen)
        state = self.step("guest", "step-launch", *self.lab.guest(self.vm))
        bad = self.lab.host("step-validate", "--uuid", other, state, ok=(1,))
        self.assertIn("measurement-mismatch", bad.stderr)
        self.step("answer", "step-validate", state)

    def test_registration_reaches_a_running_agent(self):
        other = "6f0c1c5e-8e5b-4c5d-9a64-0a7a3b1c2d3e"
        self.lab.relay.kill()
        seen = self.owner.process.mark()
        self.lab.start_relay({"acme": (self.owner, [self.vm, other])})
        self.owner.wait_ready(seen)
        secret = harness.new_passphrase()
        self.owner.add("web2", secret, vm=other)
        done = self.lab.host("launch", *self.lab.guest(other))
        self.assertEqual(opened(done), secret)
        self.owner.cli("vm", "remove", "web2")
        gone = self.lab.host("launch", *self.lab.guest(other), "--timeout",
                             "1", ok=(1, 3))
        self.assertNotIn(secret, gone.stdout)

    def test_unknown_members_are_ignored(self):
        done = self.launch("--launch-set", "x-new=[1,{}]", "--launch-set",
                           'host={"name":"cn-17"}', "--validate-set",
                           'x-new="y"')
        self.assertEqual(opened(done), self.passphrase)

    def test_policy_as_text(self):
        """C19: the thread writes 0x3, which JSON cannot."""
        self.assertEqual(opened(self.launch("--launch-set", 'policy="0x1"')),
                         self.passphrase)


class Refused(harness.LabTest):
    """Issue 6.6: what differs from the registration releases nothing."""

    cmdline = "console=ttyS0 quiet"

    def setUp(self):
        self.lab = harness.Lab()
        self.addCleanup(self.lab.close)
        self.passphrase = harness.new_passphrase()
        self.owner = self.lab.agent()
        self.kernel = self.lab.file("kernel", os.urandom(5000))
        self.initrd = self.lab.file("initrd", os.urandom(3000))
        self.vm = self.owner.add(
            "web1", self.passphrase, "--kernel", self.kernel, "--initrd",
            self.initrd, "--cmdline", self.cmdline, "--cpus", "2",
            "--cpu-sig", "0x00a00f11", policy="0x7")
        self.lab.start_relay({"acme": (self.owner, [self.vm])})
        self.owner.start()

    def launch(self, ok=(0,), **change):
        flags = {"kernel": self.kernel, "initrd": self.initrd,
                 "cmdline": self.cmdline, "vcpus": "2",
                 "cpu-sig": "0x00a00f11"}
        base = {name: change.pop(name) for name in
                ("firmware", "platform", "chain") if name in change}
        flags.update(change)
        args = []
        for name, value in flags.items():
            args += ["--" + name, value]
        return self.lab.host("launch", *self.lab.guest(self.vm, **base),
                             "--json", *args, ok=ok)

    def refused(self, kind, **change):
        done = self.launch(ok=(1,), **change)
        self.assertIn("urn:attest-relay:problem:" + kind,
                      done.stdout + done.stderr)
        log = self.owner.cli("log", "show", "--json").stdout
        self.assertNotIn('"released"', log)
        return done

    def test_right_one_is_released(self):
        self.launch()

    def test_wrong_firmware(self):
        self.refused("measurement-mismatch", firmware=harness.OTHER_FIRMWARE)

    def test_wrong_kernel(self):
        other = self.lab.file("other", os.urandom(5000))
        self.refused("measurement-mismatch", kernel=other)

    def test_wrong_cmdline(self):
        self.refused("measurement-mismatch", cmdline=self.cmdline + " ")

    def test_wrong_vcpu_count(self):
        self.refused("measurement-mismatch", vcpus="3")

    def test_wrong_cpu_model(self):
        self.refused("measurement-mismatch", **{"cpu-sig": "0x00800f12"})

    def test_wrong_policy_claimed(self):
        done = self.lab.host(
            "launch", *self.lab.guest(self.vm), "--launch-set", "policy=3",
            ok=(1,))
        self.assertIn("refused", done.stderr)

    def test_wrong_policy_used(self):
        """T4: the blob's MAC stops the guest before it measures."""
        done = self.lab.host(
            "launch", *self.lab.guest(self.vm), "--policy", "1",
            "--thread-only", ok=(1, 4))
        self.assertNotIn(self.passphrase, done.stdout + done.stderr)

    def test_foreign_platform(self):
        """T1: a genuine chain under a root nobody registered."""
        folder = self.lab.path("foreign")
        harness.run([os.path.join(harness.TESTBIN, "psp"), "platform", "new",
                     folder, "--generation", "2048"])
        done = self.refused("refused", platform=folder)
        # Coarse to the host, precise in the owner's log (T16).
        self.assertNotIn("ARK", done.stdout + done.stderr)
        log = self.owner.cli("log", "show").stdout
        self.assertIn("ARK", log)

    def test_unsigned_cek(self):
        """What QEMU sends; without AMD's signature nothing is proven."""
        done = self.lab.host(
            "launch", *self.lab.guest(self.vm, chain="qemu"), "--timeout",
            "1", "--json", ok=(1, 3))
        self.assertIn("cek-unavailable", done.stdout + done.stderr)


class UnsignedCek(harness.LabTest):
    add_args = ("--cek", os.path.join(harness.PLATFORM, "cek.cert"))

    def test_owner_holds_the_signed_cek(self):
        done = self.lab.host("launch",
                             *self.lab.guest(self.vm, chain="qemu"))
        self.assertEqual(opened(done), self.passphrase)


class OfflineVerbs(unittest.TestCase):
    """The program itself, as an owner runs it beside other tools."""

    def agent(self, *args, ok=(0,)):
        return harness.run([os.path.join(harness.BIN, "attest-agent"), *args],
                           ok=ok)

    def test_chain_verify(self):
        naples = os.path.join(harness.FIXTURES, "certs", "naples")
        done = self.agent("chain", "verify", "--json",
                          os.path.join(naples, "chain-full.bin"))
        self.assertIn("naples", done.stdout)
        self.agent("chain", "verify", os.path.join(
            harness.FIXTURES, "certs", "genoa-9654-qemu",
            "query-sev-capabilities.json"), ok=(1,))
        self.agent("chain", "verify", "/nonexistent", ok=(2,))

    def test_root_in_two_files(self):
        """An ASK finds the ARK that signed it; another's does not."""
        def at(name):
            return os.path.join(harness.PLATFORM, name + ".cert")
        chain = [at("pdh"), at("pek"), at("oca"), at("cek")]
        self.agent("chain", "verify", "--root", at("ask"), "--root",
                   at("ark"), *chain)
        self.agent("chain", "verify", "--root", at("ark"), *chain, ok=(1,))
        foreign = os.path.join(harness.FIXTURES, "certs", "roots", "rome",
                               "ask.cert")
        self.agent("chain", "verify", "--root", at("ark"), "--root", foreign,
                   *chain, ok=(2,))

    def test_digest(self):
        done = self.agent("digest", "--firmware", harness.FIRMWARE)
        self.assertIn("5e090f7930b36c6e13ae1901f3692d2a2ab561f7b0fdf6d466e5d8"
                      "25fbba29e5", done.stdout)

    def test_ovmf(self):
        done = self.agent("ovmf", "show", harness.FIRMWARE)
        self.assertIn("0x0080c000", done.stdout.lower())


if __name__ == "__main__":
    unittest.main(verbosity=2)
