/*
 * vr_huge.c
 *		Memory of megabytes, in few pages: see vr_huge.h.
 *
 * What a query allocates, malloc takes from the system and gives back, so each
 * page of it is faulted in and cleared for every query anew. For results of
 * hundreds of thousands of rows that is a third of the time they take. A huge
 * page is one fault instead of 512, if the system is set to give them to who
 * asks, as Linux is by default.
 */
#include "postgres.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "base/vr_huge.h"

#define HUGE_PAGE ((Size) 2 * 1024 * 1024)

void
vr_huge_advise(void *p, Size size)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
	char *start = (char *) TYPEALIGN(HUGE_PAGE, p);
	char *end = (char *) TYPEALIGN_DOWN(HUGE_PAGE, (char *) p + size);

	/* It is advice: where it fails, pages are small. */
	if (end > start)
		(void) madvise(start, end - start, MADV_HUGEPAGE);
#endif
}
