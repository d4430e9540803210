# vecrecall
#
#   make demo     see it work: builds, runs a private server, cleans up
#   make check    every test, on a private server
#   make check-clients    real programs of client libraries and ORMs, all of them
#   make check-versions   the tests on PostgreSQL 17 and 18 (as root: Debian roots)
#   make check-wal        the tests with each page compared after replay
#   make check-asan       the tests under AddressSanitizer and UBSan
#   make check-valgrind   the tests under valgrind: an hour and more
#   make soak     random work, crashes, a standby: test/soak/README.md
#   make bench    the hnsw index against its peers: test/bench/README.md
#   make setup    installs what those need (Debian and Ubuntu, as root)
#
# Those set themselves up and need no PostgreSQL yet. The rest is PGXS:
#
#   make && make install [PG_CONFIG=...] [DESTDIR=...]
#   make install-alias      also under pgvector's name (FORCE=1 replaces pgvector)
#   make installcheck       against a running server
#   make uninstall, make uninstall-alias, make clean
#
# Objects may be built elsewhere: make -f /path/to/vecrecall/Makefile

SELF_SERVED = demo check check-clients check-versions check-wal check-asan \
	check-valgrind soak bench setup
TOP := $(patsubst %/,%,$(dir $(abspath $(firstword $(MAKEFILE_LIST)))))

ifneq ($(filter $(SELF_SERVED),$(MAKECMDGOALS)),)

# pg_config may not exist here, so nothing below this line may call it. Other
# goals of the same command line are left to a make of their own.
$(filter-out $(SELF_SERVED),$(MAKECMDGOALS)):
	$(MAKE) -f $(TOP)/Makefile $@

setup:
	@$(TOP)/test/lib/setup.sh check
demo:
	@$(TOP)/test/lib/setup.sh demo
	@$(TOP)/test/demo/demo.sh
check:
	@$(TOP)/test/lib/setup.sh check
	@$(TOP)/test/lib/check.sh
check-clients:
	@$(TOP)/test/lib/setup.sh clients
	@$(TOP)/test/clients/run.sh
check-versions:
	@$(TOP)/test/lib/setup.sh versions
	@$(TOP)/test/lib/versions.sh $(VERSIONS)
check-wal:
	@$(TOP)/test/lib/setup.sh check
	@VR_WAL=1 $(TOP)/test/lib/check.sh regress isolation tap
check-asan check-valgrind: check-%:
	@$(TOP)/test/lib/setup.sh $*
	@$(TOP)/test/lib/sanitize.sh $*
soak:
	@$(TOP)/test/lib/setup.sh check
	@SOAK_SECONDS='$(SECONDS)' SOAK_SEED='$(SEED)' SOAK_CLIENTS='$(CLIENTS)' $(TOP)/test/soak/soak.sh
bench:
	@$(TOP)/test/lib/setup.sh bench
	@PGVECTOR='$(PGVECTOR)' $(TOP)/test/bench/bench.sh $(BENCH)
.PHONY: $(SELF_SERVED)
# One after another, whatever -j says.
.NOTPARALLEL:

else

EXTENSION = vecrecall
EXTVERSION = 1.0
MODULE_big = vecrecall

# Where the sources are, as a prefix: nothing, unless built elsewhere.
S := $(if $(filter-out $(CURDIR),$(TOP)),$(TOP)/)
objects = $(patsubst $(S)%.c,%.o,$(sort $(wildcard $(1:%=$(S)src/%.c))))

LAYERS = base distance types quant hnsw knn tiers planner
OBJS = $(call objects,* $(LAYERS:%=%/*))

# What needs OpenBLAS, a module of its own: a session loads it at its first
# batch search. WITH_BLAS=no leaves it out; that work is then slower.
WITH_BLAS = yes
BLAS_OBJS = $(call objects,blas/*)
BLAS_MODULE = vecrecall_blas$(DLSUFFIX)
BLAS_LIBS = -lopenblas

# The install script, in dependency order: fragments of sql/install, one per
# part of src. The alias has the same objects under pgvector's name and
# version, and what only pgvector's users look for.
COMMON_SQL = header vector halfvec sparsevec bit casts hnsw hnsw_functions knn quant tiers planner info
INSTALL_SQL = guard_vecrecall $(COMMON_SQL)
ALIAS_SQL = guard_vector $(COMMON_SQL) alias_ivfflat
ALIASVERSION = 0.8.6
ALIAS_DATA = vector--$(ALIASVERSION).sql vector--$(ALIASVERSION)--vecrecall.sql \
	vector--vecrecall--$(ALIASVERSION).sql
fragments = $(wildcard $(1:%=$(S)sql/install/%.sql))

DATA_built = $(EXTENSION)--$(EXTVERSION).sql
DATA = $(patsubst $(S)%,%,$(wildcard $(S)sql/upgrade/*--*--*.sql))

REGRESS = $(patsubst $(S)sql/%.sql,%,$(sort $(wildcard $(S)sql/*.sql)))
REGRESS_OPTS = --inputdir=$(TOP) --load-extension=$(EXTENSION)
ISOLATION = $(patsubst $(S)test/isolation/specs/%.spec,%,$(sort $(wildcard $(S)test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(TOP)/test/isolation --load-extension=$(EXTENSION)
TAP_TESTS = $(if $(wildcard $(S)test/t/*.pl),1)
PROVE_TESTS = test/t/*.pl

# Portable: an instruction set is chosen when the library is loaded, so no
# -march here. -Bsymbolic: a backend may hold another library with our names.
PG_CPPFLAGS = -I$(TOP)/src -DVR_DLSUFFIX='"$(DLSUFFIX)"'
PG_CFLAGS = -MMD -MP -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
SHLIB_LINK = -Wl,-Bsymbolic -lm
EXTRA_CLEAN = $(OBJS:.o=.d) $(BLAS_OBJS) $(BLAS_OBJS:.o=.d) $(BLAS_MODULE) \
	vector.control $(ALIAS_DATA) \
	build/check build/demo build/soak build/unit

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(PGXS),)
$(error $(PG_CONFIG) was not found. Say PG_CONFIG=/path/to/pg_config, or install PostgreSQL's development files; "make demo" and "make check" do all of that themselves)
endif
include $(PGXS)

# -O3 for the vectoriser. In distance/, a sum's every rounding is defined: only
# intrinsics fuse a multiplication with an addition. test/unit has the same.
src/distance/%.o: CFLAGS += -O3 -fno-math-errno -ffp-contract=off
src/distance/%.bc: BITCODE_CFLAGS += -ffp-contract=off
src/quant/%.o: CFLAGS += -O3 -fno-math-errno
src/knn/%.o: CFLAGS += -O3 -fno-math-errno
src/types/%.o: CFLAGS += -O3

$(DATA_built): $(call fragments,$(INSTALL_SQL)) $(TOP)/Makefile
	cat $(call fragments,$(INSTALL_SQL)) > $@

# Built elsewhere. By rules, VPATH would find the folders of the sources.
ifneq ($(S),)
$(shell mkdir -p $(sort $(dir $(OBJS) $(BLAS_OBJS))))
endif
# Debian's PostgreSQL has no dependency tracking of its own.
$(OBJS:.o=.bc): %.bc: %.o
-include $(OBJS:.o=.d) $(BLAS_OBJS:.o=.d)

ifeq ($(WITH_BLAS),yes)
all: $(BLAS_MODULE)
install: install-blas
endif
uninstall: uninstall-blas

# Not through the server's loader, so without its magic block; see src/blas.
$(BLAS_MODULE): $(BLAS_OBJS)
	$(CC) $(CFLAGS) $(BLAS_OBJS) $(LDFLAGS) $(LDFLAGS_SL) -shared -o $@ $(BLAS_LIBS)

install-blas: $(BLAS_MODULE) installdirs
	$(INSTALL_SHLIB) $(BLAS_MODULE) '$(DESTDIR)$(pkglibdir)/$(BLAS_MODULE)'
uninstall-blas:
	rm -f '$(DESTDIR)$(pkglibdir)/$(BLAS_MODULE)'

# The layouts of our types, for other extensions: with the server's headers on
# its path, one includes "extension/vecrecall/vector.h".
header_dir = $(DESTDIR)$(includedir_server)/extension/$(EXTENSION)
install: install-headers
uninstall: uninstall-headers
install-headers:
	$(MKDIR_P) '$(header_dir)/base'
	$(INSTALL_DATA) $(S)src/types/vector.h '$(header_dir)/'
	$(INSTALL_DATA) $(S)src/base/vr_compat.h $(S)src/base/vr_defs.h '$(header_dir)/base/'
uninstall-headers:
	rm -f $(patsubst %,'$(header_dir)/%',vector.h base/vr_compat.h base/vr_defs.h)
	rmdir '$(header_dir)/base' '$(header_dir)' 2>/dev/null || true

# The alias: the same library under pgvector's name.
vector.control: $(S)vecrecall.control $(TOP)/Makefile
	{ echo '# $(EXTENSION) under the name vector; made by "make install-alias"'; \
	sed "s/^default_version.*/default_version = '$(ALIASVERSION)'/" $<; } > $@

vector--$(ALIASVERSION).sql: $(call fragments,$(ALIAS_SQL)) $(TOP)/Makefile
	cat $(call fragments,$(ALIAS_SQL)) > $@

# Takes over a database of pgvector's, where it stands: functions are replaced
# by ours, and what exists with the same name and meaning is kept (types, casts,
# operators, aggregates, access methods, operator classes). The way back to the
# number that clients look for is empty.
vector--$(ALIASVERSION)--vecrecall.sql: vector--$(ALIASVERSION).sql
	awk '/^CREATE (TYPE|AGGREGATE) [a-z]+[ ;(]/ || /^CREATE (CAST|OPERATOR [^A-Z]|ACCESS METHOD)/ || \
		/^CREATE OPERATOR CLASS (vector|halfvec|sparsevec|bit)_/ { skip = 1 } \
		!skip { sub(/^CREATE FUNCTION/, "CREATE OR REPLACE FUNCTION"); \
			sub(/"CREATE EXTENSION vector"/, "\"ALTER EXTENSION vector UPDATE TO vecrecall\""); print } \
		/;$$/ { skip = 0 }' $< > $@

vector--vecrecall--$(ALIASVERSION).sql: $(TOP)/Makefile
	echo '-- Nothing to do: the objects are the same.' > $@

alias_dir = $(DESTDIR)$(datadir)/extension
alias_is_ours = grep -qs '^\# $(EXTENSION) under the name vector' '$(alias_dir)/vector.control'

# The refusal comes before anything is installed.
install-alias: all vector.control $(ALIAS_DATA)
	@if [ -e '$(alias_dir)/vector.control' ] && ! $(alias_is_ours) && [ '$(FORCE)' != 1 ]; then \
		echo 'pgvector is installed in $(alias_dir); nothing was changed.' >&2; \
		echo 'FORCE=1 replaces its control file, so that "CREATE EXTENSION vector" means $(EXTENSION).' >&2; \
		exit 1; \
	fi
	$(MAKE) -f $(firstword $(MAKEFILE_LIST)) install
	$(INSTALL_DATA) vector.control $(ALIAS_DATA) '$(alias_dir)/'

uninstall-alias:
	@if $(alias_is_ours); then \
		rm -fv $(patsubst %,'$(alias_dir)/%',vector.control $(ALIAS_DATA)); \
	else \
		echo 'no alias of $(EXTENSION) in $(alias_dir)'; \
	fi

.PHONY: install-alias uninstall-alias install-blas uninstall-blas \
	install-headers uninstall-headers

endif
