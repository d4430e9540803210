# Programs that test src/hnsw: its sources know the server, of which the program
# has stand-ins for memory and errors.
hnsw_pool_SRC = src/hnsw/hnsw_pool.c $(QUANT_SRC)
$(BUILD)/src/hnsw/%.o $(BUILD)/test/unit/hnsw_pool_test.o: \
	CPPFLAGS := $(filter-out -DFRONTEND,$(CPPFLAGS))
