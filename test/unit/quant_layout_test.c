/*
 * quant_layout_test.c
 *		The plan of a record: it fits for every dimension, and the shapes that
 *		matter are the intended ones.
 */
#include "c.h"

#include "quant_data.h"

enum
{
	PAGE = 8152, /* 8192 less header and special area */
	FIXED = 352  /* 32 of header, 192 of factors, 128 of ids */
};

/* Bytes of a page per row of a plain index of float32 vectors. */
static double
plain_bytes(int dim)
{
	int slots = PAGE / (4 * dim + 300);

	return 8192.0 / (slots > 0 ? slots : 1);
}

static bool
consistent(const VrQuantLayout *l)
{
	return l->padded == VrPaddedDim(l->dim) && l->own != VR_OWN_AUTO &&
		   l->code_bits % 16 == 0 && l->code_bits <= l->padded &&
		   l->code_bits <= VR_CODE_BITS_MAX && l->fixed_bytes % 8 == 0 &&
		   l->own_bytes == VrOwnBytes(l->own, l->padded) &&
		   l->code_bytes == 4 * l->code_bits &&
		   l->record_bytes == l->fixed_bytes + l->own_bytes + l->code_bytes &&
		   l->record_bytes % 8 == 0 && l->slots >= 1 &&
		   l->slots * l->record_bytes <= PAGE;
}

static void
check_shape(int dim, VrLayoutGoal goal, VrOwnKind own, int code_bits, int slots)
{
	VrQuantLayout l;
	bool planned =
		VrQuantPlan(dim, VR_OWN_AUTO, VR_CODE_BITS_AUTO, goal, PAGE, FIXED, &l);

	unit_ok(planned && l.own == own && l.code_bits == code_bits &&
				l.slots == slots,
			"%d dimensions, %s: %s, %d bits, %d per page", dim,
			goal == VR_LAYOUT_FAST ? "fast" : "lean", VrOwnKindName(l.own),
			l.code_bits, l.slots);
}

int
main(void)
{
	VrQuantLayout l;
	bool fits = true;
	bool agree = true;
	bool monotone = true;
	double before[2] = {0};

	for (int dim = 1; dim <= 16000; dim++)
		for (int goal = VR_LAYOUT_FAST; goal <= VR_LAYOUT_LEAN; goal++)
		{
			double bytes;

			fits &= VrQuantPlan(dim, VR_OWN_AUTO, VR_CODE_BITS_AUTO, goal, PAGE,
								FIXED, &l) &&
					consistent(&l);
			/* no dimension is much worse than its neighbours */
			bytes = 8192.0 / l.slots;
			monotone &= bytes >= 0.49 * before[goal];
			before[goal] = bytes;
		}
	unit_ok(fits, "every dimension fits, both ways");
	unit_ok(monotone, "bytes per row do not jump down as dimensions grow");
	for (int fixed = 0; fixed <= 512; fixed += 100)
		agree &= VrQuantPlan(16000, VR_OWN_AUTO, VR_CODE_BITS_AUTO,
							 VR_LAYOUT_FAST, 8000, fixed, &l) &&
				 l.fixed_bytes >= fixed;
	unit_ok(agree, "16,000 dimensions fit a smaller page");

	check_shape(1, VR_LAYOUT_FAST, VR_OWN_F16, 32, 14);
	check_shape(3, VR_LAYOUT_FAST, VR_OWN_F16, 32, 14);
	check_shape(96, VR_LAYOUT_FAST, VR_OWN_F16, 96, 8);
	check_shape(128, VR_LAYOUT_FAST, VR_OWN_F16, 128, 7);
	check_shape(256, VR_LAYOUT_FAST, VR_OWN_F16, 256, 4);
	check_shape(384, VR_LAYOUT_FAST, VR_OWN_F16, 384, 3);
	check_shape(512, VR_LAYOUT_FAST, VR_OWN_F16, 512, 2);
	check_shape(768, VR_LAYOUT_FAST, VR_OWN_F16, 544, 2);
	check_shape(1024, VR_LAYOUT_FAST, VR_OWN_F16, 1024, 1);
	check_shape(1536, VR_LAYOUT_FAST, VR_OWN_F16, 1168, 1);
	check_shape(2000, VR_LAYOUT_FAST, VR_OWN_I8, 1440, 1);
	check_shape(3072, VR_LAYOUT_FAST, VR_OWN_I8, 1168, 1);
	check_shape(4096, VR_LAYOUT_FAST, VR_OWN_I8, 912, 1);
	check_shape(8192, VR_LAYOUT_FAST, VR_OWN_I4, 912, 1);
	check_shape(16000, VR_LAYOUT_FAST, VR_OWN_I2, 944, 1);
	check_shape(384, VR_LAYOUT_LEAN, VR_OWN_I8, 320, 4);
	check_shape(768, VR_LAYOUT_LEAN, VR_OWN_I4, 320, 4);
	check_shape(1536, VR_LAYOUT_LEAN, VR_OWN_I8, 544, 2);

	/* sizes against a plain index */
	for (int goal = VR_LAYOUT_FAST; goal <= VR_LAYOUT_LEAN; goal++)
	{
		static const int dims[] = {128, 384, 768, 1024, 1536, 2000};

		for (int i = 0; i < lengthof(dims); i++)
		{
			double ratio;
			double most;

			VrQuantPlan(dims[i], VR_OWN_AUTO, VR_CODE_BITS_AUTO, goal, PAGE,
						FIXED, &l);
			ratio = 8192.0 / l.slots / plain_bytes(dims[i]);
			if (goal == VR_LAYOUT_FAST)
				most = dims[i] < 768 ? 1.5 : 1.05;
			else
				most = dims[i] < 384 ? 1.3 : (dims[i] < 768 ? 1.0 : 0.55);
			unit_ok(ratio <= most, "%d dimensions, %s: %.2f of a plain index",
					dims[i], goal == VR_LAYOUT_FAST ? "fast" : "lean", ratio);
		}
	}

	/* given parts are kept */
	agree = true;
	for (int own = VR_OWN_F32; own < VR_OWN_NKINDS; own++)
		agree &= VrQuantPlan(300, own, VR_CODE_BITS_AUTO, VR_LAYOUT_FAST, PAGE,
							 FIXED, &l) &&
				 consistent(&l) && (int) l.own == own && l.code_bits >= 64;
	unit_ok(agree, "the own kind can be given");
	unit_ok(
		VrQuantPlan(768, VR_OWN_AUTO, 200, VR_LAYOUT_FAST, PAGE, FIXED, &l) &&
			l.code_bits == 208 && consistent(&l),
		"the code length can be given, and is rounded up: %s, %d per page",
		VrOwnKindName(l.own), l.slots);
	unit_ok(
		VrQuantPlan(768, VR_OWN_I8X2, 4096, VR_LAYOUT_FAST, PAGE, FIXED, &l) &&
			l.code_bits == 768 && l.own == VR_OWN_I8X2 && consistent(&l),
		"both can be given, and the code is no longer than the vector");
	unit_ok(VrQuantPlan(768, VR_OWN_AUTO, 0, VR_LAYOUT_FAST, PAGE, 200, &l) &&
				l.code_bits == 0 && l.code_bytes == 0 && l.own == VR_OWN_F32,
			"without codes vectors are kept in full");
	unit_ok(VrQuantPlan(2048, VR_OWN_F32, 0, VR_LAYOUT_FAST, PAGE, 200, &l) ==
				false,
			"what does not fit is refused");
	unit_ok(!VrQuantPlan(1536, VR_OWN_F32, VR_CODE_BITS_AUTO, VR_LAYOUT_FAST,
						 6000, FIXED, &l) &&
				!VrQuantPlan(0, VR_OWN_AUTO, VR_CODE_BITS_AUTO, VR_LAYOUT_FAST,
							 PAGE, FIXED, &l) &&
				!VrQuantPlan(16001, VR_OWN_AUTO, VR_CODE_BITS_AUTO,
							 VR_LAYOUT_FAST, PAGE, FIXED, &l) &&
				!VrQuantPlan(10, VR_OWN_AUTO, -2, VR_LAYOUT_FAST, PAGE, FIXED,
							 &l) &&
				!VrQuantPlan(10, (VrOwnKind) 99, 0, VR_LAYOUT_FAST, PAGE, FIXED,
							 &l),
			"nonsense is refused");
	return unit_done();
}
