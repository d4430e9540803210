# vecrecall: PGXS build. `make demo` and `make check` do their own set-up.
EXTENSION = vecrecall
EXTVERSION = 1.0
MODULE_big = vecrecall

LAYERS = base distance quant types hnsw knn planner
OBJS = src/vr_module.o \
	$(foreach d,$(LAYERS),$(patsubst %.c,%.o,$(sort $(wildcard src/$(d)/*.c))))

# Fragments in dependency order; one per src folder or type.
INSTALL_SQL = header vector halfvec sparsevec bit hnsw quant knn planner
DATA_built = $(EXTENSION)--$(EXTVERSION).sql
DATA = $(wildcard sql/upgrade/*--*--*.sql)

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=$(EXTENSION)
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --load-extension=$(EXTENSION)
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -MMD -MP -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
SHLIB_LINK = -Wl,-Bsymbolic
EXTRA_CLEAN = $(OBJS:.o=.d)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Distances may be summed in any order, contracted to FMA; nothing else may.
src/distance/%.o src/quant/%.o: CFLAGS += -O3 -fno-math-errno

$(DATA_built): $(wildcard $(INSTALL_SQL:%=sql/install/%.sql)) Makefile
	cat $(wildcard $(INSTALL_SQL:%=sql/install/%.sql)) > $@

$(OBJS:.o=.bc): %.bc: %.o
-include $(OBJS:.o=.d)
