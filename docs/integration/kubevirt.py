#!/usr/bin/env python3
"""One pass of a controller for KubeVirt (kubevirt.md): takes a VMI one step on
its way from Scheduled to running with its secret.

    kubevirt.py API-URL NAMESPACE VMI ATTEST-LAUNCH-FLAG...

Status 0: nothing more to do; 75: look again later; 1: the VMI was deleted, since
its owner refused it.  $KUBE_CA and $KUBE_TOKEN_FILE reach the API server.
"""
import json
import os
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

API, NAMESPACE, NAME, *FLAGS = sys.argv[1:]
VMI = "/apis/kubevirt.io/v1/namespaces/%s/virtualmachineinstances/%s" % (NAMESPACE, NAME)
SUB = VMI.replace("kubevirt.io", "subresources.kubevirt.io", 1)
SESSION = "attest-relay/session-id"
LATER = 75


def call(method, path, body=None, kind="application/json"):
    """A request to the API server; a conflict is a matter of time."""
    headers = {"Content-Type": kind}
    if "KUBE_TOKEN_FILE" in os.environ:
        with open(os.environ["KUBE_TOKEN_FILE"], encoding="ascii") as token:
            headers["Authorization"] = "Bearer " + token.read().strip()
    request = urllib.request.Request(
        API + path, None if body is None else json.dumps(body).encode(), headers, method=method)
    tls = ssl.create_default_context(cafile=os.environ.get("KUBE_CA"))
    try:
        with urllib.request.urlopen(request, timeout=30,
                                    context=tls if API.startswith("https") else None) as answer:
            return json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as e:
        print("%s %s: %d" % (method, path, e.code), file=sys.stderr)
        sys.exit(LATER if e.code == 409 or e.code >= 500 else 1)


def ask(step, facts, *more):
    """attest-launch asks the owner; who is refused goes."""
    done = subprocess.run(["attest-launch", step, *FLAGS, *more], input=json.dumps(facts),
                          stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        return json.loads(done.stdout)
    if done.returncode not in (3, 75):
        call("DELETE", VMI)
        sys.exit(1)
    sys.exit(LATER)


vmi = call("GET", VMI)
meta, status = vmi["metadata"], vmi.get("status", {})
vm = vmi["spec"]["domain"]["firmware"]["uuid"]
paused = any(c["type"] == "Paused" and c["status"] == "True" for c in status.get("conditions", []))

if status.get("phase") == "Scheduled":
    host = call("GET", SUB + "/sev/fetchcertchain")
    # The key makes a second pass get the session of the first.
    session = ask("launch", {"uuid": vm, "host": status["nodeName"], "pdh": host["pdh"],
                             "cert-chain": host["certChain"]},
                  "--idempotency-key", meta["uid"])
    call("PATCH", VMI, {"metadata": {"annotations": {SESSION: session["session-id"]}}},
         "application/merge-patch+json")
    call("PUT", SUB + "/sev/setupsession",
         {"session": session["session"], "dhCert": session["owner-cert"]})
    sys.exit(LATER)
if status.get("phase") == "Running" and paused:
    m = call("GET", SUB + "/sev/querylaunchmeasurement")
    facts = {"uuid": vm, "session-id": meta["annotations"][SESSION], "measurement": m["measurement"],
             "api-major": m["apiMajor"], "api-minor": m["apiMinor"], "build-id": m["buildID"]}
    packet = ask("validate", facts)
    if packet["inject"]:
        call("PUT", SUB + "/sev/injectlaunchsecret",
             {"header": packet["secret-header"], "secret": packet["secret-table"]})
    call("PUT", SUB + "/unpause")
sys.exit(0 if status.get("phase") == "Running" else LATER)
