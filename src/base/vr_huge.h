/*
 * vr_huge.h
 *		Memory of megabytes, in few pages.
 */
#ifndef VR_HUGE_H
#define VR_HUGE_H

/*
 * Asks for huge pages under memory that is about to be written for the first
 * time. Where the system has none to give, and where the memory is too small,
 * nothing happens.
 */
extern void vr_huge_advise(void *p, Size size);

#endif /* VR_HUGE_H */
