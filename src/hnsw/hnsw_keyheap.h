/*
 * hnsw_keyheap.h
 *		A min-heap of keys in an array that the caller owns, four children to a
 *		node. Inlined: searches spend much of their time in it.
 */
#ifndef VR_HNSW_KEYHEAP_H
#define VR_HNSW_KEYHEAP_H

/* Puts a key at a place that is free, the last one, or further up. */
static inline void
VrKeyHeapRise(uint64 *h, uint32 i, uint64 key)
{
	while (i > 0)
	{
		uint32 parent = (i - 1) / 4;

		if (h[parent] <= key)
			break;
		h[i] = h[parent];
		i = parent;
	}
	h[i] = key;
}

/* Puts a key in place of the least of n. */
static inline void
VrKeyHeapSink(uint64 *h, uint32 n, uint64 key)
{
	uint32 i = 0;

	for (;;)
	{
		uint32 child = i * 4 + 1;
		uint32 end = Min(child + 4, n);
		uint32 least = child;
		uint32 c;

		if (child >= n)
			break;
		for (c = child + 1; c < end; c++)
			least = h[c] < h[least] ? c : least;
		if (h[least] >= key)
			break;
		h[i] = h[least];
		i = least;
	}
	h[i] = key;
}

#endif /* VR_HNSW_KEYHEAP_H */
