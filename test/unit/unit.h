/*
 * unit.h
 *		What the unit tests share: reporting, random numbers, guarded memory.
 *
 * Include after "c.h". A program calls unit_ok() for each check and returns
 * unit_done() from main().
 */
#ifndef UNIT_H
#define UNIT_H

/* Prints "ok N - name" or "not ok N - name". Returns passed. */
extern bool unit_ok(bool passed, const char *fmt, ...)
	pg_attribute_printf(2, 3);

/* A remark, best after a failure. */
extern void unit_note(const char *fmt, ...) pg_attribute_printf(1, 2);

/* Prints the plan; the exit status of the program. */
extern int unit_done(void);

/* Random numbers, the same in every run (splitmix64). */
extern uint64 unit_random(void);
extern double unit_uniform(void); /* in [0, 1) */

/*
 * Zeroed memory of that size rounded up to pages, between two pages that
 * cannot be touched: reading past the end, or before the start, is a crash.
 * *end, unless NULL, is set behind the last byte. Never freed.
 */
extern void *unit_guarded(size_t size, void *end);

#endif /* UNIT_H */
