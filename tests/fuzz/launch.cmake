# What attest-launch reads of a service, of a manager and of QEMU.
fuzz_target(launch_qmp launch_qmp_fuzz.c launch_core)
fuzz_target(launch_answer launch_answer_fuzz.c launch_core)
fuzz_target(launch_domain_xml launch_domain_xml_fuzz.c launch_core)
