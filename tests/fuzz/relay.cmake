# What the relay reads of strangers, beyond the decoders of common/.
fuzz_target(relay_enrol relay_enrol_fuzz.c relay_core)
fuzz_target(relay_path relay_path_fuzz.c relay_core)
fuzz_target(relay_config relay_config_fuzz.c relay_core)
fuzz_target(relay_http relay_http_fuzz.c relay_core)
fuzz_target(relay_parcel relay_parcel_fuzz.c relay_core)
fuzz_target(relay_cluster relay_cluster_fuzz.c relay_core)
fuzz_target(relay_resp relay_resp_fuzz.c relay_core)
