DISTANCE_SRC := $(patsubst $(ROOT)/%,%,$(sort $(wildcard $(ROOT)/src/distance/distance_*.c)))

distance_kernels_SRC = $(DISTANCE_SRC)
distance_half_SRC = $(DISTANCE_SRC)
distance_bits_SRC = $(DISTANCE_SRC)
distance_sparse_SRC = $(DISTANCE_SRC)
