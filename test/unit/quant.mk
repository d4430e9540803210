QUANT_SRC := $(patsubst $(ROOT)/%,%,$(sort $(wildcard $(ROOT)/src/quant/quant_*.c))) \
	$(DISTANCE_SRC)

quant_kernels_SRC = $(QUANT_SRC)
quant_rotate_SRC = $(QUANT_SRC)
quant_own_SRC = $(QUANT_SRC)
quant_code_SRC = $(QUANT_SRC)
quant_estimate_SRC = $(QUANT_SRC)
quant_extreme_SRC = $(QUANT_SRC)
quant_layout_SRC = $(QUANT_SRC)
quant_pq_SRC = $(QUANT_SRC)
