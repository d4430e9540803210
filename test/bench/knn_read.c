/*
 * knn_read.c
 *		How long does it take to read as many bytes from memory, once? For
 *		knn.sh, which compares searches with it.
 *
 *	knn_read BYTES [SWEEP]
 *
 * For each line on standard input it reads them, and prints the milliseconds.
 * Before, and for a line that begins with an s alone, it reads SWEEP megabytes
 * of others, so that neither these bytes nor what a server reads next are in
 * the caches.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of words, in a line of the cache, one of which brings all. */
#define LINE (64 / sizeof(uint64_t))

/* A word of each line, as that is the fastest; n is in words. */
static uint64_t
read_all(const uint64_t *p, size_t n)
{
	uint64_t sums[4] = {0};
	size_t i;

	for (i = 0; i + 4 * LINE <= n; i += 4 * LINE)
	{
		sums[0] += p[i];
		sums[1] += p[i + LINE];
		sums[2] += p[i + 2 * LINE];
		sums[3] += p[i + 3 * LINE];
	}
	return sums[0] + sums[1] + sums[2] + sums[3];
}

static uint64_t *
bytes(size_t size)
{
	uint64_t *p = malloc(size + 1);

	if (p == NULL)
		exit(1);
	memset(p, 1, size);
	return p;
}

int
main(int argc, char **argv)
{
	const size_t size = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	const size_t others = (argc > 2 ? strtoull(argv[2], NULL, 10) : 0) << 20;
	uint64_t *mine = bytes(size);
	uint64_t *sweep = bytes(others);
	volatile uint64_t sink = 0;
	char line[80];

	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		struct timespec from;
		struct timespec to;

		sink += read_all(sweep, others / sizeof(*sweep));
		clock_gettime(CLOCK_MONOTONIC, &from);
		if (line[0] != 's')
			sink += read_all(mine, size / sizeof(*mine));
		clock_gettime(CLOCK_MONOTONIC, &to);
		printf("%.3f\n", (to.tv_sec - from.tv_sec) * 1e3 +
							 (to.tv_nsec - from.tv_nsec) / 1e6);
		fflush(stdout);
	}
	return 0;
}
