/*
 * types_fuzz.c
 *		Feeds damaged text and binary values of the vector types to a server.
 *
 * Usage: types_fuzz CONNINFO SEED COUNT, into a database with the extension.
 * Prints what went wrong with the input in hexadecimal, and exits 1.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#define MAX_INPUT 70000
#define MAX_GROWTH_KB 65536

typedef struct Input
{
	int len;
	char bytes[MAX_INPUT + 1];
} Input;

static const char *const types[] = {"vector", "halfvec", "sparsevec"};

/* Beginnings of text, well-formed and not. */
static const char *const dense_texts[] = {
	"[1,2,3]",
	"[0.1,-2.5e10,+3.e-5,.5]",
	" [ 1 , 2 ] ",
	"[0.12345678901234567]",
	"[1e38,-1e-38,1e-45]",
	"[0x1p3,1e5]",
	"[65504,-65504]",
	"[]",
	"[1e400]",
	"[nan]",
	"[Infinity,-inf]",
	"[16777217,9007199254740993,18446744073709551616]",
};
static const char *const sparse_texts[] = {
	"{1:1,3:2}/5",
	"{}/3",
	" { 1 : 0.5 , 2 : -1e5 } / 10 ",
	"{3:1,1:2,2:0}/3",
	"{1000000000:1}/1000000000",
	"{1:1,1:2}/3",
	"{0:1}/3",
	"{1:1e-46}/2",
	"{2147483648:1}/99999999999",
};
static const char *const tokens[] = {
	"[",
	"]",
	"{",
	"}",
	",",
	":",
	"/",
	"-",
	"+",
	".",
	"e",
	"E",
	"0x",
	"p",
	" ",
	"\t",
	"\v",
	"0",
	"9",
	"1e38",
	"1e39",
	"-1e-46",
	"nan",
	"inf",
	"infinity",
	"65519.99",
	"65520",
	"2147483647",
	"2147483648",
	"-2147483649",
	"99999999999999999999",
	"0.000000000000000000000000000001",
	"1.00000005960464477539062500001",
	"\x80",
	"\xff",
	"\xc3\xa9",
	"12345678",
	"1234567",
	"123456789012345678901234567890",
};

static uint64_t state;

static uint64_t
next_random(void)
{
	uint64_t z = (state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static int
below(int n)
{
	return (int) (next_random() % (uint64_t) n);
}

static void
fail(const char *what, const char *type, bool binary, const Input *in)
{
	printf("%s: %s, %s, %d bytes: ", type, what, binary ? "binary" : "text",
		   in->len);
	for (int i = 0; i < in->len && i < 500; i++)
		printf("%02x", (unsigned char) in->bytes[i]);
	printf("\n");
	exit(1);
}

static void
put(Input *in, const void *bytes, int len)
{
	if (in->len + len <= MAX_INPUT)
	{
		memcpy(in->bytes + in->len, bytes, len);
		in->len += len;
	}
}

static void
put_int(Input *in, int size, uint32_t value)
{
	for (int i = size - 1; i >= 0; i--)
	{
		char byte = (char) (value >> (8 * i));

		put(in, &byte, 1);
	}
}

/* A long list, now and then one element too long. */
static void
start_long_text(Input *in, bool sparse)
{
	int count = below(2) ? 15999 + below(4) : 1 + below(16000);

	for (int i = 0; i < count; i++)
	{
		char text[32];
		int len = sparse && count < 7000
					  ? snprintf(text, sizeof(text), ",%d:1", i + 1)
					  : snprintf(text, sizeof(text), ",%d", below(10));

		if (i == 0)
			text[0] = sparse ? '{' : '[';
		put(in, text, len);
	}
	if (sparse)
		put(in, "}/20000", 7);
	else
		put(in, "]", 1);
}

static void
start_text(Input *in, bool sparse)
{
	const char *text;

	in->len = 0;
	if (below(200) == 0)
	{
		start_long_text(in, sparse);
		return;
	}
	if (sparse)
		text =
			sparse_texts[below(sizeof(sparse_texts) / sizeof(*sparse_texts))];
	else
		text = dense_texts[below(sizeof(dense_texts) / sizeof(*dense_texts))];
	put(in, text, (int) strlen(text));
}

/* A well-formed binary value of a few elements. */
static void
start_binary(Input *in, int type)
{
	int count = below(100) == 0 ? 15999 + below(3) : below(12);

	in->len = 0;
	if (type == 2)
	{
		put_int(in, 4, count + below(5));
		put_int(in, 4, count);
		put_int(in, 4, 0);
		for (int i = 0; i < count; i++)
			put_int(in, 4, i);
		for (int i = 0; i < count; i++)
			put_int(in, 4, (uint32_t) next_random());
		return;
	}
	put_int(in, 2, count);
	put_int(in, 2, 0);
	for (int i = 0; i < count; i++)
		put_int(in, type == 0 ? 4 : 2, (uint32_t) next_random() & 0xBFFFBFFF);
}

static void
mutate(Input *in, bool binary)
{
	int at = in->len > 0 ? below(in->len) : 0;
	int n =
		in->len - at > 0 ? 1 + below(in->len - at < 8 ? in->len - at : 8) : 0;
	char piece[8];

	switch (below(binary ? 5 : 6))
	{
		case 0: /* another byte */
			if (in->len > 0)
				in->bytes[at] = (char) next_random();
			break;
		case 1: /* a flipped bit */
			if (in->len > 0)
				in->bytes[at] ^= (char) (1 << below(8));
			break;
		case 2: /* a piece less */
			memmove(in->bytes + at, in->bytes + at + n, in->len - at - n);
			in->len -= n;
			break;
		case 3: /* a piece twice */
			memcpy(piece, in->bytes + at, n);
			if (in->len + n <= MAX_INPUT)
			{
				memmove(in->bytes + at + n, in->bytes + at, in->len - at);
				memcpy(in->bytes + at, piece, n);
				in->len += n;
			}
			break;
		case 4: /* cut off */
			if (below(4) == 0)
				in->len = at;
			break;
		default: /* a token put in */
		{
			const char *token = tokens[below(sizeof(tokens) / sizeof(*tokens))];
			int len = (int) strlen(token);

			if (in->len + len <= MAX_INPUT)
			{
				memmove(in->bytes + at + len, in->bytes + at, in->len - at);
				memcpy(in->bytes + at, token, len);
				in->len += len;
			}
		}
	}
}

static bool
expected_error(const char *sqlstate, bool binary)
{
	static const char *const of_text[] = {"22P02", "22000", "22003",
										  "54000", "22021", NULL};
	static const char *const of_binary[] = {"08P01", "22P03", "22000", "54000",
											NULL};

	for (const char *const *s = binary ? of_binary : of_text; *s; s++)
	{
		if (strcmp(*s, sqlstate) == 0)
			return true;
	}
	return false;
}

static PGresult *
execute(PGconn *conn, int type, const char *bytes, int len, bool binary)
{
	const char *const values[] = {bytes};
	const int lengths[] = {len};
	const int formats[] = {binary};

	return PQexecPrepared(conn, types[type], 1, values, lengths, formats, 1);
}

/* True if the server took the input. */
static bool
try_input(PGconn *conn, int type, bool binary, Input *in)
{
	PGresult *result;
	PGresult *again;

	in->bytes[in->len] = '\0';
	result = execute(conn, type, in->bytes, in->len, binary);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

		if (sqlstate == NULL || PQstatus(conn) != CONNECTION_OK)
			fail("the connection was lost", types[type], binary, in);
		if (!expected_error(sqlstate, binary))
			fail(PQresultErrorMessage(result), types[type], binary, in);
		PQclear(result);
		return false;
	}

	/* The second column is the value read back from its own text. */
	if (PQgetlength(result, 0, 0) != PQgetlength(result, 0, 1) ||
		memcmp(PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1),
			   PQgetlength(result, 0, 0)) != 0)
		fail("text does not read back the same", types[type], binary, in);
	again = execute(conn, type, PQgetvalue(result, 0, 0),
					PQgetlength(result, 0, 0), true);
	if (PQresultStatus(again) != PGRES_TUPLES_OK ||
		PQgetlength(result, 0, 0) != PQgetlength(again, 0, 0) ||
		memcmp(PQgetvalue(result, 0, 0), PQgetvalue(again, 0, 0),
			   PQgetlength(result, 0, 0)) != 0)
		fail("binary does not read back the same", types[type], binary, in);
	PQclear(again);
	PQclear(result);
	return true;
}

/* The backend's peak memory in kB, 0 where it cannot be seen. */
static long
peak_kb(PGconn *conn)
{
	char line[256];
	long kb = 0;
	FILE *file;

	snprintf(line, sizeof(line), "/proc/%d/status", PQbackendPID(conn));
	file = fopen(line, "r");
	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL)
	{
		if (strncmp(line, "VmHWM:", 6) == 0)
			kb = atol(line + 6);
	}
	fclose(file);
	return kb;
}

int
main(int argc, char **argv)
{
	static Input in;
	PGconn *conn;
	int count;
	int taken = 0;
	long before;
	long after;

	if (argc != 4)
	{
		fprintf(stderr, "usage: types_fuzz CONNINFO SEED COUNT\n");
		return 2;
	}
	state = strtoull(argv[2], NULL, 10);
	count = atoi(argv[3]);
	conn = PQconnectdb(argv[1]);
	if (PQstatus(conn) != CONNECTION_OK)
	{
		fprintf(stderr, "%s", PQerrorMessage(conn));
		return 2;
	}
	for (int type = 0; type < 3; type++)
	{
		char sql[200];
		PGresult *result;

		snprintf(sql, sizeof(sql),
				 "SELECT v, v::text::%s FROM (SELECT $1::%s) t(v)", types[type],
				 types[type]);
		result = PQprepare(conn, types[type], sql, 0, NULL);
		if (PQresultStatus(result) != PGRES_COMMAND_OK)
		{
			fprintf(stderr, "%s", PQerrorMessage(conn));
			return 2;
		}
		PQclear(result);
	}

	/* The largest input once, so that its memory is not taken for a leak. */
	for (int type = 0; type < 3; type++)
	{
		in.len = 0;
		start_long_text(&in, type == 2);
		try_input(conn, type, false, &in);
	}
	before = peak_kb(conn);
	for (int i = 0; i < count; i++)
	{
		int type = below(3);
		bool binary = below(2);

		if (binary)
			start_binary(&in, type);
		else
			start_text(&in, type == 2);
		for (int m = below(6); m > 0; m--)
			mutate(&in, binary);
		taken += try_input(conn, type, binary, &in);
	}
	after = peak_kb(conn);
	if (after - before > MAX_GROWTH_KB)
	{
		printf("the backend grew from %ld to %ld kB\n", before, after);
		return 1;
	}
	printf("%d inputs, %d of them values, backend grew by %ld kB\n", count,
		   taken, after - before);
	PQfinish(conn);
	return 0;
}
