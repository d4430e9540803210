# Programs that test src/planner.
planner_sources := src/planner/planner_ops.c src/planner/planner_model.c \
	src/planner/planner_choose.c
planner_model_SRC := $(planner_sources)
planner_choose_SRC := $(planner_sources)
planner_learn_SRC := $(planner_sources)
