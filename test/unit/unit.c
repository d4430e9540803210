/*
 * unit.c
 *		See unit.h.
 */
#include "c.h"

#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

/* "c.h" redirects these to the server's library, which is not linked. */
#undef printf
#undef vprintf

static int unit_checks = 0;
static int unit_failures = 0;

bool
unit_ok(bool passed, const char *fmt, ...)
{
	va_list args;

	unit_checks++;
	if (!passed)
		unit_failures++;
	printf("%sok %d - ", passed ? "" : "not ", unit_checks);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	return passed;
}

void
unit_note(const char *fmt, ...)
{
	va_list args;

	printf("#   ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

int
unit_done(void)
{
	printf("1..%d\n", unit_checks);
	return unit_failures == 0 && unit_checks > 0 ? 0 : 1;
}

uint64
unit_random(void)
{
	static uint64 state = 20260101;
	uint64 z = (state += UINT64CONST(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

double
unit_uniform(void)
{
	return (double) (unit_random() >> 11) / (double) (UINT64CONST(1) << 53);
}

void *
unit_guarded(size_t size, void *end)
{
	const size_t page = (size_t) sysconf(_SC_PAGESIZE);
	const size_t inside = (size + page - 1) / page * page;
	char *p = mmap(NULL, inside + 2 * page, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + page, inside, PROT_READ | PROT_WRITE))
	{
		printf("Bail out! no memory\n");
		exit(1);
	}
	if (end != NULL)
		*(char **) end = p + page + inside;
	return p + page;
}
