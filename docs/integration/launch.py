#!/usr/bin/env python3
"""launch.py DOMAIN.xml UUID SERVICE-URL CA-FILE TOKEN-FILE [LIBVIRT-URI]"""
import json
import ssl
import sys
import time
import urllib.error
import urllib.request
import uuid
import xml.etree.ElementTree as ET

import libvirt
FILE, VM, SERVICE, CA, TOKEN, *URI = sys.argv[1:]
TLS = ssl.create_default_context(cafile=CA)
TLS.minimum_version = ssl.TLSVersion.TLSv1_3


def post(verb, body, seconds=120):
    with open(TOKEN, encoding="ascii") as token:
        request = urllib.request.Request(
            "%s/vm/%s/%s" % (SERVICE, VM, verb), json.dumps(body).encode(), {
                "Content-Type": "application/json", "Authorization": "Bearer " + token.read().strip(),
                "Idempotency-Key": '"%s"' % uuid.uuid4()})
    end = time.monotonic() + seconds
    while True:  # the same request, docs/protocol.md 7
        try:
            with urllib.request.urlopen(request, None, 60, context=TLS) as answer:
                return json.loads(answer.read(65536))
        except urllib.error.HTTPError as e:
            pause, said = float(e.headers.get("Retry-After", 1)), e.read(65536).decode()
            again = e.code in (429, 502, 503, 504) or ":in-progress" in said
            if not again or time.monotonic() + pause > end:
                sys.exit("%s: %d %s" % (verb, e.code, said))
            time.sleep(pause)


connection = libvirt.open(*URI)
host = connection.getSEVInfo()
session = post("launch", {"pdh": host["pdh"], "cert-chain": host["cert-chain"],
                          **({"cpu-id": host["cpu0-id"]} if "cpu0-id" in host else {})})
root = ET.parse(FILE).getroot()
for old in root.findall("launchSecurity"):
    root.remove(old)
sec = ET.SubElement(root, "launchSecurity", type="sev",
                    kernelHashes="yes" if session.get("kernel-hashes") else "no")
for name, member, put in (("policy", "policy", hex),  # libvirt reads no decimal
                          ("dhCert", "owner-cert", str), ("session", "session", str)):
    ET.SubElement(sec, name).text = put(session[member])
guest = connection.createXML(ET.tostring(root, "unicode"),
                             libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY)
info = guest.launchSecurityInfo()
answer = post("validate", {"session-id": session.get("session-id"), **{
    name: info["sev-" + name] for name in ("measurement", "api-major", "api-minor", "build-id")}})
if answer.get("inject", True):
    guest.setLaunchSecurityState({"sev-secret-header": answer["secret-header"],
                                  "sev-secret": answer["secret-table"]})
guest.resume()
print("running", flush=True)
while guest.isActive():  # AUTODESTROY: its life is this connection's
    time.sleep(1)
