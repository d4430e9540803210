/*
 * quant_layout.c
 *		Decides how a vertex record is made up: own precision, code length and
 *		records per page. The rules and their evidence are in the README.
 */
#include "c.h"

#include "quant/quant_private.h"

/*
 * What an index of full float32 vectors needs per row besides the vector
 * itself; only used to set a size to aim at.
 */
#define LAYOUT_PLAIN_OVERHEAD 300

/* Shortest code worth having, unless the vector itself is shorter. */
#define LAYOUT_MIN_CODE 64

/* From the finest to the coarsest; I8X2 is taken on request only. */
static const VrOwnKind layout_kinds[] = {VR_OWN_F16, VR_OWN_I8, VR_OWN_I4,
										 VR_OWN_I2};
/* Without codes the page has room for more. */
static const VrOwnKind layout_plain_kinds[] = {VR_OWN_F32, VR_OWN_F16,
											   VR_OWN_I8, VR_OWN_I4, VR_OWN_I2};

/* Records per page to aim at. */
static int
layout_wanted_slots(int dim, VrLayoutGoal goal, int page_bytes)
{
	int plain = page_bytes / (4 * dim + LAYOUT_PLAIN_OVERHEAD);
	float share;
	int wanted;

	if (plain < 1)
		plain = 1;
	if (goal == VR_LAYOUT_FAST)
		share = dim <= 512 ? 1.7f : 1.05f;
	else
		share = dim <= 512 ? 1.0f : 0.55f;
	wanted = (int) ceilf((float) plain / share);
	return wanted < 1 ? 1 : wanted;
}

/* Whether this kind and code length are good enough to settle for. */
static bool
layout_accept(VrLayoutGoal goal, VrOwnKind kind, int padded, int code_bits,
			  int slots)
{
	float ratio = (float) code_bits / (float) padded;
	float sigma = VrEstimateSigma(padded, code_bits);

	if (goal == VR_LAYOUT_FAST)
	{
		/* codes in full to 384; cutting them to .7 is free only above */
		float need = padded <= 384 ? 1.0f : (padded <= 512 ? 0.9f : 0.65f);

		switch (kind)
		{
			case VR_OWN_F16:
				return ratio >= need;
			case VR_OWN_I8:
				return padded > 512 &&
					   (ratio >= need || (slots == 1 && sigma <= 0.042f));
			case VR_OWN_I4:
				return slots == 1 && padded > 512 && sigma <= 0.042f;
			default:
				return false;
		}
	}
	switch (kind)
	{
		case VR_OWN_F16:
			return ratio >= 0.9f;
		case VR_OWN_I8:
			return ratio >= 0.33f && sigma <= 0.08f;
		case VR_OWN_I4:
			return padded > 512 && sigma <= 0.065f;
		default:
			return false;
	}
}

/* The longest code that fits with this kind, 0 if none does. */
static int
layout_code_room(int padded, VrOwnKind kind, int slots, int page_bytes,
				 int fixed_bytes)
{
	int room =
		((page_bytes / slots) & ~7) - fixed_bytes - VrOwnBytes(kind, padded);
	int least = padded < LAYOUT_MIN_CODE ? padded : LAYOUT_MIN_CODE;
	int bits = room / 4 & ~15;

	if (room < 0 || bits < least)
		return 0;
	if (bits > VR_CODE_BITS_MAX)
		bits = VR_CODE_BITS_MAX;
	return bits < padded ? bits : padded;
}

static bool
layout_finish(VrQuantLayout *layout, VrOwnKind own, int code_bits,
			  int page_bytes)
{
	layout->own = own;
	layout->code_bits = code_bits;
	layout->own_bytes = VrOwnBytes(own, layout->padded);
	layout->code_bytes = VR_CODE_BLOCK_BYTES(code_bits);
	layout->record_bytes =
		layout->fixed_bytes + layout->own_bytes + layout->code_bytes;
	layout->slots = page_bytes / layout->record_bytes;
	return layout->slots >= 1;
}

/* Code length automatic; own kind automatic or given. */
static bool
layout_choose_code(VrQuantLayout *layout, VrOwnKind own, VrLayoutGoal goal,
				   int page_bytes)
{
	int padded = layout->padded;
	int wanted = layout_wanted_slots(layout->dim, goal, page_bytes);
	VrOwnKind best = VR_OWN_AUTO;
	int best_bits = 0;

	for (int slots = wanted; slots >= 1; slots--)
	{
		if (own != VR_OWN_AUTO)
		{
			/* a given kind is judged by its code alone */
			int bits = layout_code_room(padded, own, slots, page_bytes,
										layout->fixed_bytes);

			if (bits > 0 &&
				layout_accept(goal, VR_OWN_F16, padded, bits, slots))
				return layout_finish(layout, own, bits, page_bytes);
			continue;
		}
		for (int i = 0; i < lengthof(layout_kinds); i++)
		{
			int bits = layout_code_room(padded, layout_kinds[i], slots,
										page_bytes, layout->fixed_bytes);

			if (bits > 0 &&
				layout_accept(goal, layout_kinds[i], padded, bits, slots))
				return layout_finish(layout, layout_kinds[i], bits, page_bytes);
		}
	}
	/* nothing is good: one record per page, with the longest code */
	for (int i = 0; i < lengthof(layout_kinds); i++)
	{
		VrOwnKind kind = own != VR_OWN_AUTO ? own : layout_kinds[i];
		int bits =
			layout_code_room(padded, kind, 1, page_bytes, layout->fixed_bytes);

		if (bits > best_bits)
		{
			best = kind;
			best_bits = bits;
		}
	}
	return best_bits > 0 && layout_finish(layout, best, best_bits, page_bytes);
}

bool
VrQuantPlan(int dim, VrOwnKind own, int code_bits, VrLayoutGoal goal,
			int page_bytes, int fixed_bytes, VrQuantLayout *layout)
{
	const VrOwnKind *kinds = code_bits == 0 ? layout_plain_kinds : layout_kinds;
	int nkinds =
		code_bits == 0 ? lengthof(layout_plain_kinds) : lengthof(layout_kinds);
	int wanted;

	if (dim < 1 || dim > VR_VECTOR_MAX_DIM || page_bytes < 1 ||
		fixed_bytes < 0 || code_bits < VR_CODE_BITS_AUTO ||
		(unsigned) own >= VR_OWN_NKINDS)
		return false;
	memset(layout, 0, sizeof(*layout));
	layout->dim = dim;
	layout->padded = VrPaddedDim(dim);
	layout->fixed_bytes = (fixed_bytes + 7) & ~7;
	if (code_bits == VR_CODE_BITS_AUTO)
		return layout_choose_code(layout, own, goal, page_bytes);

	if (code_bits > VR_CODE_BITS_MAX)
		code_bits = VR_CODE_BITS_MAX;
	code_bits = (code_bits + 15) & ~15;
	if (code_bits > layout->padded)
		code_bits = layout->padded;
	if (own != VR_OWN_AUTO)
		return layout_finish(layout, own, code_bits, page_bytes);

	/* the finest kind that reaches the wanted density, or comes nearest */
	wanted = layout_wanted_slots(dim, goal, page_bytes);
	for (int slots = wanted; slots >= 1; slots--)
		for (int i = 0; i < nkinds; i++)
			if (layout_finish(layout, kinds[i], code_bits, page_bytes) &&
				layout->slots >= slots)
				return true;
	return false;
}
