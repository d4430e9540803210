#!/bin/bash
# run.sh: real programs of clients and ORMs against a private server that has
# the alias extension "vector" ("make check-clients").
#
#   run.sh [NAME...]     only these: python llm node java go rust, the examples
#                        of README.md (readme), or one program: python/asyncpg
#
# Logs stay in build/clients/log. The last line is "N passed, N failed".
. "$(dirname "$0")/../lib/private.sh"
. "$VR_TOP/test/lib/results.sh"
. "$VR_TOP/test/clients/programs.sh"
cd "$VR_TOP" || exit 1

results_begin "$VR_TOP/build/clients"
clients_choose ${*:-$CLIENTS_GROUPS} || vr_die "no such program: $*"
vr_mirror "$config" "$VR_WORK/root"
vr_build "$log/build.log"
clients_run
results_end
