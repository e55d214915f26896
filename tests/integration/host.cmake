# The compute host's side: attest-launch against a scripted service, and the
# whole way with QEMU on the software secure processor.
foreach(part service qemu)
  integration_test(attest_launch_${part} attest_launch_${part}.py)
endforeach()
# The real libvirtd, QEMU and OVMF, behind tests/emulator.
integration_test(attest_launch_libvirt attest_launch_libvirt.py)
# Launchers and guards killed together, and a daemon that hangs.
integration_test(attest_launch_orphans attest_launch_orphans.py)
set_tests_properties(integration.attest_launch_libvirt
  integration.attest_launch_orphans PROPERTIES TIMEOUT 600)
integration_test(attest_launch_examples attest_launch_examples.py)
integration_test(attest_launch_kubevirt attest_launch_kubevirt.py)
# What a guest does with its secret.
integration_test(guest_unlock guest_unlock.py)
integration_test(guest_initramfs guest_initramfs.py)
