fuzz_target(psp psp_fuzz.c psp)
