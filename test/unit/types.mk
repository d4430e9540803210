types_parse_SRC = src/types/float_parse.c
