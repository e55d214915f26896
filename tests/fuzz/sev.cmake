# Decoders of what a host, a firmware file or a registration brings.
foreach(part cert chain ovmf measure secret launch session)
  fuzz_target(sev_${part} sev_${part}_fuzz.c sev)
endforeach()
fuzz_target(sev_decode sev_decode_fuzz.c agent_cli_sev)
