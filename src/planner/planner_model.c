/*
 * planner_model.c
 *		What is known about the time of a batch, and how one more batch
 *		changes it.
 *
 * Recursive least squares in information form: a model is the exponentially
 * weighted sums of w x x' and w x y. They can be added, so a cell without
 * history borrows from its neighbours by adding a small multiple of theirs;
 * and the non-negative solution is found anew from the sums at each fit, so
 * clamping one coefficient never biases the others for good. With five
 * coefficients a fit costs about a microsecond.
 *
 * Noise is multiplicative, so each observation is weighted by the inverse
 * square of the time expected of it: the residuals are relative ones.
 */
#include "c.h"

#include <math.h>
#include <string.h>

#include "planner/planner_model.h"

#define FORGETTING 0.995

/*
 * The scalability law is learned against what a lone batch was thought to take
 * at the time, so what is old is forgotten sooner.
 */
#define USL_FORGETTING 0.97

/*
 * And it is only a law: what it adds to the time of a batch is trusted to this
 * share, so that batches that ran alone decide what a batch takes alone.
 */
#define USL_TRUST 0.3

/* Standard deviations of what is shipped of the law: wide. */
#define USL_SIGMA_SPREAD 0.2
#define USL_KAPPA_SPREAD 0.01

/* Standard deviation of a prior coefficient, relative to its value. */
#define PRIOR_SPREAD 10.0

/* A borrowed history counts as at most so many observations. */
#define BORROW_WEIGHT 5.0

/* From so many standard deviations on a residual is an outlier. */
#define OUTLIER 3.0

/*
 * The mean of standardised residuals moves by this share with each of them, so
 * that it has a standard deviation of 0.23 while the model is right. Beyond the
 * limit, which takes three outliers or a dozen of one deviation each, it drifts.
 */
#define DRIFT_GAIN 0.1
#define DRIFT_LIMIT 0.8
#define DRIFT_FORGETTING 0.8
#define DRIFT_WEIGHT 15

/* Observations of a cell before exploration becomes occasional. */
#define YOUNG 12

/*
 * Small batches have costs of their own, and nobody wants them: an observation
 * has also the weight of its relative throughput squared, at least of this.
 */
#define SMALL_SHARE 0.1

/*
 * What batches of one size take beyond what the coefficients say is believed to
 * have this standard deviation. The first of them says nothing yet: it may be
 * an outlier.
 */
#define LOCAL_SPREAD 0.1
#define LOCAL_FIRST 1.0

#define NOISE_PRIOR 0.15
#define NOISE_FLOOR 0.02
#define NOISE_CEILING 1.0

/*
 * What is beyond these is taken for these, so that no square and no quotient of
 * them leaves the range of numbers: a thousand million rows, some thirty years.
 */
#define MOST_ROWS 1e9
#define MOST_CONCURRENCY 65536
#define MOST_SECONDS 1e9
#define LEAST_SECONDS 1e-9
#define MOST_TOKENS_PER_ROW 1e9
#define MOST_WORK 1e9
#define MOST_MEMORY_RATIO 1e6

/* Ratio of standard to mean absolute deviation, of a normal variable. */
#define MAD_TO_SD 1.2533

/* Weight that the assumption of normal noise has against the histogram. */
#define TAIL_PRIOR 10.0
#define TAIL_SPAN 2.0794415416798357 /* log(8) */

/* Position of (row, col), row >= col, in a packed lower triangle. */
#define TRI(row, col) ((row) * ((row) + 1) / 2 + (col))

static inline double
model_sym(const double *triangle, int i, int j)
{
	return i >= j ? triangle[TRI(i, j)] : triangle[TRI(j, i)];
}

/*
 * A model that has seen nothing.
 */
void
VrModelInit(VrModel *model)
{
	memset(model, 0, sizeof(VrModel));
	model->layout = VR_MODEL_LAYOUT;
	model->noise = NOISE_PRIOR / MAD_TO_SD;
}

/*
 * Adds what other has seen to pool, for VrModelFit to borrow from.
 */
void
VrModelPool(VrModel *pool, const VrModel *other)
{
	double total = pool->weight + other->weight;

	if (other->count <= 0)
		return;
	for (int i = 0; i < VR_COEF_TRIANGLE; i++)
		pool->info[i] += other->info[i];
	for (int i = 0; i < VR_COEFS; i++)
		pool->moment[i] += other->moment[i];
	for (int i = 0; i < 3; i++)
		pool->usl_info[i] += other->usl_info[i];
	for (int i = 0; i < 2; i++)
		pool->usl_moment[i] += other->usl_moment[i];
	pool->usl_weight += other->usl_weight;
	if (total > 0)
	{
		double share = other->weight / total;

		pool->noise += (other->noise - pool->noise) * share;
		pool->tokens_per_row +=
			(other->tokens_per_row - pool->tokens_per_row) * share;
	}
	pool->mem_ratio = Max(pool->mem_ratio, other->mem_ratio);
	pool->count += other->count;
	pool->weight = total;
}

/*
 * Cholesky factor, lower triangle packed, of the k x k symmetric matrix whose
 * element (i, j) is matrix(index[i], index[j]). False if it is not positive
 * definite.
 */
static bool
model_cholesky(const double *matrix, const int *index, int k, double *factor)
{
	for (int i = 0; i < k; i++)
	{
		for (int j = 0; j <= i; j++)
		{
			double sum = model_sym(matrix, index[i], index[j]);

			for (int l = 0; l < j; l++)
				sum -= factor[TRI(i, l)] * factor[TRI(j, l)];
			if (i != j)
				factor[TRI(i, j)] = sum / factor[TRI(j, j)];
			else if (!(sum > 0))
				return false;
			else
				factor[TRI(i, i)] = sqrt(sum);
		}
	}
	return true;
}

/* Solves L y = x in place. */
static void
model_forward(const double *factor, int k, double *x)
{
	for (int i = 0; i < k; i++)
	{
		for (int j = 0; j < i; j++)
			x[i] -= factor[TRI(i, j)] * x[j];
		x[i] /= factor[TRI(i, i)];
	}
}

/* Solves L' y = x in place. */
static void
model_backward(const double *factor, int k, double *x)
{
	for (int i = k - 1; i >= 0; i--)
	{
		for (int j = i + 1; j < k; j++)
			x[i] -= factor[TRI(j, i)] * x[j];
		x[i] /= factor[TRI(i, i)];
	}
}

/*
 * Lawson and Hanson: minimises x'Mx / 2 - v'x over x >= 0, for positive
 * definite M of k <= VR_COEFS rows.
 */
static void
model_nonnegative(const double *matrix, const double *vector, int k,
				  double *solution)
{
	bool passive[VR_COEFS] = {false};

	memset(solution, 0, sizeof(double) * k);
	for (int round = 0; round < 3 * VR_COEFS; round++)
	{
		int enter = -1;
		double steepest = 0;

		for (int i = 0; i < k; i++)
		{
			double gradient = vector[i];
			double scale = sqrt(model_sym(matrix, i, i));

			if (passive[i])
				continue;
			for (int j = 0; j < k; j++)
				gradient -= model_sym(matrix, i, j) * solution[j];
			gradient /= scale;
			if (gradient > steepest &&
				gradient > 1e-9 * fabs(vector[i]) / scale)
			{
				steepest = gradient;
				enter = i;
			}
		}
		if (enter < 0)
			return;
		passive[enter] = true;

		/* Solve for the passive ones; drop those that would go below zero. */
		for (;;)
		{
			double factor[VR_COEF_TRIANGLE];
			double trial[VR_COEFS];
			int index[VR_COEFS];
			int count = 0;
			int blocking = -1;
			double step = 1;

			for (int i = 0; i < k; i++)
				if (passive[i])
				{
					trial[count] = vector[i];
					index[count++] = i;
				}
			if (count == 0 || !model_cholesky(matrix, index, count, factor))
			{
				passive[enter] = false;
				return;
			}
			model_forward(factor, count, trial);
			model_backward(factor, count, trial);
			for (int i = 0; i < count; i++)
			{
				double from = solution[index[i]];

				if (trial[i] <= 0 && from / (from - trial[i]) <= step)
				{
					step = from > 0 ? from / (from - trial[i]) : 0;
					blocking = index[i];
				}
			}
			for (int i = 0; i < count; i++)
				solution[index[i]] += step * (trial[i] - solution[index[i]]);
			if (blocking < 0)
				break;
			solution[blocking] = 0;
			passive[blocking] = false;
		}
	}
}

/* Regressors of one batch. */
static void
model_features(const VrOpTraits *traits, const VrShape *shape,
			   double tokens_per_row, double batch, double *x)
{
	double work = shape->work > 0 ? Min(shape->work, MOST_WORK) : 1;
	double set = batch * 4.0 * shape->dim;

	/* What a tile costs besides its rows is a pass over the data: work, too. */
	x[VR_COEF_BATCH] = traits->tiled ? work : 1;
	x[VR_COEF_ROW] = batch * work;
	x[VR_COEF_DIM] = batch * work * shape->dim;
	x[VR_COEF_TOKEN] = batch * tokens_per_row;
	x[VR_COEF_SPILL] =
		traits->tiled && shape->cache_bytes > 0 && set > shape->cache_bytes
			? batch * work
			: 0;
}

static double
model_dot(const double *x, const double *y)
{
	double sum = 0;

	for (int i = 0; i < VR_COEFS; i++)
		sum += x[i] * y[i];
	return sum;
}

/*
 * By how much all shipped coefficients must be multiplied to fit the sums best.
 * What is shipped is the shape of the cost, where its knee is; how fast a
 * machine or a provider is may be off by orders of magnitude.
 */
static double
model_prior_scale(const VrOpTraits *traits, const double *info,
				  const double *moment)
{
	double square = 0;
	double product = 0;

	for (int i = 0; i < VR_COEFS; i++)
	{
		for (int j = 0; j < VR_COEFS; j++)
			square +=
				traits->prior[i] * traits->prior[j] * model_sym(info, i, j);
		product += traits->prior[i] * moment[i];
	}
	return square > 0 && product > 0 ? product / square : 1;
}

/*
 * What the coefficients leave unexplained, by size of batch. Of each bin's mean
 * counts what is beyond its standard error, else noise alone would make ripples
 * on a flat curve, on which the smallest good batch jumps about; and of that as
 * much as there are observations for. Between bins that have some, corrections
 * are on the line between them, and beyond them as in the last.
 */
static void
model_local(const VrModel *own, double noise, double *local)
{
	double doubt = noise * noise / (LOCAL_SPREAD * LOCAL_SPREAD);
	int last = -1;

	for (int i = 0; i < VR_LOCAL_BINS; i++)
	{
		double weight = own->local_weight[i] - LOCAL_FIRST;
		double beyond;

		local[i] = last < 0 ? 1 : local[last];
		if (weight <= 0)
			continue;
		beyond = Max(fabs(own->local[i]) - noise / sqrt(weight), 0);
		local[i] =
			exp(copysign(beyond * weight / (weight + doubt), own->local[i]));
		for (int j = last + 1; j < i; j++)
			local[j] = last < 0 ? local[i]
								: local[last] + (local[i] - local[last]) *
													(j - last) / (i - last);
		last = i;
	}
}

/* What to multiply the time that the coefficients say with. */
static double
model_local_factor(const VrFit *fit, double batch)
{
	int bin;
	/* without logarithms, for this is called for every size on the grid */
	double share = 2 * frexp(Max(batch, 1), &bin) - 1;

	if (--bin >= VR_LOCAL_BINS - 1)
		return fit->local[VR_LOCAL_BINS - 1];
	return fit->local[bin] + (fit->local[bin + 1] - fit->local[bin]) * share;
}

/*
 * Solves own (with a little of pool, which may be NULL, where own is young)
 * for the coefficients, their precision, and the scalability law.
 */
void
VrModelFit(VrPlannerOp op, const VrModel *own, const VrModel *pool, VrFit *fit)
{
	static const int every[VR_COEFS] = {0, 1, 2, 3, 4};
	const VrOpTraits *traits = &vr_op_traits[op];
	double share = 0;
	double usl_share = 0;
	double noise;
	double scale;
	double matrix[VR_COEF_TRIANGLE];
	double vector[VR_COEFS];
	double usl[3];
	double usl_vector[2];
	double usl_prior[2];
	double det;

	memset(fit, 0, sizeof(VrFit));
	fit->traits = traits;
	if (pool != NULL && pool->weight > 0)
		share = BORROW_WEIGHT / Max(BORROW_WEIGHT, pool->weight);
	if (pool != NULL && pool->usl_weight > 0)
		usl_share = BORROW_WEIGHT / Max(BORROW_WEIGHT, pool->usl_weight);

	noise = own->noise;
	if (share > 0 && own->weight < BORROW_WEIGHT)
		noise += (pool->noise - noise) * (1 - own->weight / BORROW_WEIGHT);
	fit->noise = Min(Max(noise * MAD_TO_SD, NOISE_FLOOR), NOISE_CEILING);

	for (int i = 0; i < VR_COEF_TRIANGLE; i++)
		matrix[i] = own->info[i] + (share > 0 ? share * pool->info[i] : 0);
	for (int i = 0; i < VR_COEFS; i++)
		vector[i] = own->moment[i] + (share > 0 ? share * pool->moment[i] : 0);
	scale = model_prior_scale(traits, matrix, vector);
	for (int i = 0; i < VR_COEF_TRIANGLE; i++)
		matrix[i] /= fit->noise * fit->noise;
	for (int i = 0; i < VR_COEFS; i++)
	{
		/* A coefficient shipped as zero is free to be small. */
		double mean = scale * traits->prior[i];
		double small = i == VR_COEF_DIM ? 1e-3 : 1e-1;
		double spread =
			PRIOR_SPREAD *
			(mean > 0 ? mean : scale * small * traits->prior[VR_COEF_ROW]);
		double weight = 1 / (spread * spread);

		vector[i] = vector[i] / (fit->noise * fit->noise) + weight * mean;
		matrix[TRI(i, i)] += weight;
	}
	model_nonnegative(matrix, vector, VR_COEFS, fit->coef);
	if (!model_cholesky(matrix, every, VR_COEFS, fit->chol))
	{
		/* Rounding only: the prior alone makes the matrix definite. */
		for (int i = 0; i < VR_COEFS; i++)
			matrix[TRI(i, i)] *= 1 + 1e-9;
		if (!model_cholesky(matrix, every, VR_COEFS, fit->chol))
			for (int i = 0; i < VR_COEFS; i++)
				for (int j = 0; j <= i; j++)
					fit->chol[TRI(i, j)] = i == j ? sqrt(matrix[TRI(i, i)]) : 0;
	}

	usl_prior[0] = traits->sigma;
	usl_prior[1] = traits->kappa;
	for (int i = 0; i < 3; i++)
		usl[i] = (own->usl_info[i] +
				  usl_share * (usl_share > 0 ? pool->usl_info[i] : 0)) /
				 (fit->noise * fit->noise);
	for (int i = 0; i < 2; i++)
	{
		double spread = i == 0 ? USL_SIGMA_SPREAD : USL_KAPPA_SPREAD;
		double weight = 1 / (spread * spread);

		usl_vector[i] =
			(own->usl_moment[i] +
			 usl_share * (usl_share > 0 ? pool->usl_moment[i] : 0)) /
				(fit->noise * fit->noise) +
			weight * usl_prior[i];
		usl[TRI(i, i)] += weight;
	}
	model_nonnegative(usl, usl_vector, 2, usl_prior);
	fit->sigma = usl_prior[0];
	fit->kappa = usl_prior[1];
	det = usl[0] * usl[2] - usl[1] * usl[1];
	if (det > 0)
	{
		fit->usl_var[0] = usl[2] / det;
		fit->usl_var[1] = -usl[1] / det;
		fit->usl_var[2] = usl[0] / det;
	}

	model_local(own, fit->noise, fit->local);

	fit->tokens_per_row = own->tokens_per_row > 0 || share == 0
							  ? own->tokens_per_row
							  : pool->tokens_per_row;
	fit->mem_ratio =
		Max(1, Max(own->mem_ratio, share > 0 ? pool->mem_ratio : 0));
	fit->count = own->count + (share > 0 ? Min(pool->count, BORROW_WEIGHT) : 0);

	/* A young histogram says little: mix it with log-normal noise. */
	{
		double normal = exp(1.645 * fit->noise);
		double seen = VrModelTail(own, 0.95);

		fit->r95 = (TAIL_PRIOR * normal + own->tail_weight * seen) /
				   (TAIL_PRIOR + own->tail_weight);
		fit->r95 = Max(1, fit->r95);
	}
}

/* How much longer a batch takes when n of them run: C(n) = n / this. */
static double
model_contention(const VrFit *fit, int n)
{
	return 1 + fit->sigma * (n - 1) + fit->kappa * n * (n - 1.0);
}

static double
model_tokens(const VrFit *fit, const VrShape *shape)
{
	return shape->tokens_per_row > 0
			   ? Min(shape->tokens_per_row, MOST_TOKENS_PER_ROW)
			   : fit->tokens_per_row;
}

/*
 * Expected seconds of one batch, with concurrency - 1 others beside it.
 */
double
VrFitSeconds(const VrFit *fit, const VrShape *shape, double batch,
			 int concurrency)
{
	double x[VR_COEFS];
	double seconds;

	model_features(fit->traits, shape, model_tokens(fit, shape), batch, x);
	seconds = model_dot(x, fit->coef) * model_local_factor(fit, batch);
	return Max(seconds, 1e-9) * model_contention(fit, concurrency);
}

/* Relative variance of the expected time of a lone batch with features x. */
static double
model_variance(const VrFit *fit, const double *x)
{
	double y[VR_COEFS];
	double expected = Max(model_dot(x, fit->coef), 1e-9);

	memcpy(y, x, sizeof(y));
	model_forward(fit->chol, VR_COEFS, y);
	return model_dot(y, y) / (expected * expected);
}

/* Relative variance of the contention. */
static double
model_contention_variance(const VrFit *fit, int n)
{
	double z0 = n - 1;
	double z1 = n * (n - 1.0);
	double contention = model_contention(fit, n);

	return (z0 * z0 * fit->usl_var[0] + 2 * z0 * z1 * fit->usl_var[1] +
			z1 * z1 * fit->usl_var[2]) /
		   (contention * contention);
}

/*
 * Relative variance of VrFitSeconds: how sure the mean is, not how much one
 * batch scatters around it.
 */
double
VrFitVariance(const VrFit *fit, const VrShape *shape, double batch,
			  int concurrency)
{
	double x[VR_COEFS];

	model_features(fit->traits, shape, model_tokens(fit, shape), batch, x);
	return model_variance(fit, x) + model_contention_variance(fit, concurrency);
}

/*
 * Standard deviation of the logarithm of the knee: of what a batch costs over
 * what its rows cost. batch tells whether the rows stay in the cache.
 */
double
VrFitKneeSpread(const VrFit *fit, const VrShape *shape, double batch)
{
	double x[VR_COEFS];
	double once;
	double fixed;
	double rows;

	model_features(fit->traits, shape, model_tokens(fit, shape), batch, x);
	once = x[VR_COEF_BATCH];
	fixed = Max(once * fit->coef[VR_COEF_BATCH], 1e-12);
	x[VR_COEF_BATCH] = 0;
	rows = Max(model_dot(x, fit->coef), 1e-12);
	for (int i = 0; i < VR_COEFS; i++)
		x[i] /= -rows;
	x[VR_COEF_BATCH] = once / fixed;
	model_forward(fit->chol, VR_COEFS, x);
	return sqrt(model_dot(x, x));
}

/*
 * Quantile of actual / predicted as far as seen; 1 for nothing seen.
 */
double
VrModelTail(const VrModel *model, double quantile)
{
	double left = quantile * model->tail_weight;

	if (model->tail_weight <= 0)
		return 1;
	for (int i = 0; i < VR_TAIL_BINS; i++)
	{
		if (model->tail[i] >= left && model->tail[i] > 0)
			return exp(((i + left / model->tail[i]) * 2 / VR_TAIL_BINS - 1) *
					   TAIL_SPAN);
		left -= model->tail[i];
	}
	return exp(TAIL_SPAN);
}

/* Counts one ratio of actual to predicted. */
static void
model_tail_add(VrModel *model, double log_ratio)
{
	int bin = (int) floor((log_ratio / TAIL_SPAN + 1) * VR_TAIL_BINS / 2);

	for (int i = 0; i < VR_TAIL_BINS; i++)
		model->tail[i] *= FORGETTING;
	model->tail[Min(Max(bin, 0), VR_TAIL_BINS - 1)] += 1;
	model->tail_weight = model->tail_weight * FORGETTING + 1;
}

/* Whether the model has seen too little for exploration to become occasional. */
bool
VrModelYoung(const VrModel *model)
{
	return model->count < YOUNG;
}

/*
 * Whether the model is young, or has been wrong to the same side for a while:
 * then old observations are forgotten fast and exploration pays.
 */
bool
VrModelUnsettled(const VrModel *model)
{
	return VrModelYoung(model) || fabs(model->drift) > DRIFT_LIMIT;
}

/*
 * Whether a time so many standard deviations from its expectation may teach the
 * coefficients. An outlier may not, however wild, until those before it show
 * that the level has changed.
 */
static bool
model_credible(VrModel *own, double z)
{
	bool drifted = fabs(own->drift) > DRIFT_LIMIT && own->drift * z > 0;

	own->drift += DRIFT_GAIN * (Min(Max(z, -OUTLIER), OUTLIER) - own->drift);
	return drifted || fabs(z) < OUTLIER;
}

/* Adds weight * (x, y) to the sums for the coefficients. */
static void
model_accumulate(VrModel *own, const double *x, double y, double weight)
{
	for (int i = 0; i < VR_COEFS; i++)
	{
		for (int j = 0; j <= i; j++)
			own->info[TRI(i, j)] =
				own->info[TRI(i, j)] * FORGETTING + weight * x[i] * x[j];
		own->moment[i] = own->moment[i] * FORGETTING + weight * x[i] * y;
	}
	own->weight = own->weight * FORGETTING + 1;
}

/* Forgets most of what is known about the coefficients. */
static void
model_forget(VrModel *own)
{
	for (int i = 0; i < VR_COEF_TRIANGLE; i++)
		own->info[i] *= DRIFT_FORGETTING;
	for (int i = 0; i < VR_COEFS; i++)
		own->moment[i] *= DRIFT_FORGETTING;
	own->weight *= DRIFT_FORGETTING;
	for (int i = 0; i < VR_LOCAL_BINS; i++)
		own->local_weight[i] *= DRIFT_FORGETTING;
}

/*
 * What a batch took beyond what the coefficients say, for batches of its size.
 * An outlier counts, and that cut, only if the last batch of that size was one
 * too, to the same side: then it is how that size is.
 */
static void
model_accumulate_local(VrModel *own, double batch, double log_ratio,
					   double noise, double weight)
{
	int bin = (int) rint(Min(log2(Max(batch, 1)), VR_LOCAL_BINS - 1));
	double most = OUTLIER * noise;
	double more = log_ratio - own->local[bin];
	double before = own->local_outlier[bin];

	own->local_outlier[bin] = more > most ? 1 : more < -most ? -1 : 0;
	if (own->local_outlier[bin] != 0 && own->local_outlier[bin] != before)
		return;
	for (int i = 0; i < VR_LOCAL_BINS; i++)
		own->local_weight[i] *= FORGETTING;
	own->local_weight[bin] += weight;
	own->local[bin] +=
		weight / own->local_weight[bin] * Min(Max(more, -most), most);
}

/* The same for the scalability law: over is how much longer it took, less 1. */
static void
model_accumulate_usl(VrModel *own, int n, double over, double weight)
{
	double z[2];

	z[0] = n - 1;
	z[1] = n * (n - 1.0);
	for (int i = 0; i < 2; i++)
	{
		for (int j = 0; j <= i; j++)
			own->usl_info[TRI(i, j)] =
				own->usl_info[TRI(i, j)] * USL_FORGETTING +
				weight * z[i] * z[j];
		own->usl_moment[i] =
			own->usl_moment[i] * USL_FORGETTING + weight * z[i] * over;
	}
	own->usl_weight = own->usl_weight * USL_FORGETTING + 1;
}

/*
 * Folds one batch that went well into own. pool is what VrModelFit would
 * borrow, or NULL.
 */
void
VrModelFold(VrPlannerOp op, VrModel *own, const VrModel *pool,
			const VrShape *shape, const VrOutcome *outcome)
{
	VrFit fit;
	double x[VR_COEFS];
	int n = Min(Max(outcome->concurrency, 1), MOST_CONCURRENCY);
	double batch = Min((double) outcome->batch, MOST_ROWS);
	double seconds = Min(Max(outcome->seconds, LEAST_SECONDS), MOST_SECONDS);
	double tokens_seen = outcome->tokens > 0
							 ? Min(outcome->tokens / batch, MOST_TOKENS_PER_ROW)
							 : 0;
	double tokens_per_row = tokens_seen;
	double lone;
	double contention;
	double log_ratio;
	double left;
	bool credible;
	double var_lone;
	double var_usl;
	double var_noise;

	VrModelFit(op, own, pool, &fit);
	if (tokens_per_row == 0)
		tokens_per_row = model_tokens(&fit, shape);
	model_features(fit.traits, shape, tokens_per_row, batch, x);
	lone = Max(model_dot(x, fit.coef), 1e-9);
	contention = model_contention(&fit, n);
	var_lone = model_variance(&fit, x);
	var_usl = 0;
	if (n > 1)
	{
		double doubt = USL_TRUST * (1 - 1 / contention);

		var_usl = model_contention_variance(&fit, n) + doubt * doubt;
	}
	var_noise = fit.noise * fit.noise;
	log_ratio = log(seconds / (lone * contention));
	left = log_ratio - log(model_local_factor(&fit, batch));
	credible = model_credible(own, left / sqrt(var_noise + var_lone + var_usl));
	if (own->weight >= DRIFT_WEIGHT && VrModelUnsettled(own))
		model_forget(own);

	/*
	 * Both parts of the product learn from the same time; each takes the
	 * other's uncertainty for additional noise. Where the expectation is far
	 * off, the time itself is the better scale of its noise.
	 */
	if (credible)
	{
		double scale =
			fabs(log_ratio) > OUTLIER * fit.noise ? seconds / contention : lone;

		/* What fraction of its asymptote such a batch has of throughput. */
		double share = Max(
			1 - x[VR_COEF_BATCH] * fit.coef[VR_COEF_BATCH] / lone, SMALL_SHARE);

		model_accumulate(own, x, seconds / contention,
						 share * share * var_noise / (var_noise + var_usl) /
							 (scale * scale));
		if (n > 1)
			model_accumulate_usl(own, n, seconds / lone - 1,
								 var_noise / (var_noise + var_lone) /
									 (contention * contention));
	}

	/* Only noise that the uncertainty of a young model does not explain. */
	if (own->count >= 3)
	{
		double gain = Max(1 / (own->count + 5), 1 - FORGETTING);
		double deviation = Min(fabs(left), 2 * fit.noise);

		own->noise += gain * (deviation - own->noise);
		model_tail_add(own, left);
		gain = Max(1 / (own->count - 2), 1 - FORGETTING);
		own->error +=
			gain * (fabs(1 - exp(-Max(left, -TAIL_SPAN))) - own->error);
		if (fabs(own->drift) <= DRIFT_LIMIT)
			model_accumulate_local(own, batch, log_ratio, fit.noise,
								   var_noise /
									   (var_noise + var_lone + var_usl));
	}
	own->count += 1;
	if (own->count == YOUNG)
		own->drift = 0; /* what was cold start */
	if (outcome->tokens > 0)
		own->tokens_per_row += (tokens_seen - own->tokens_per_row) *
							   Max(1 / own->count, 1 - FORGETTING);
	if (outcome->mem_bytes > 0)
	{
		double shipped =
			fit.traits->mem_batch +
			batch * (fit.traits->mem_row + fit.traits->mem_dim * shape->dim);

		own->mem_ratio =
			Max(own->mem_ratio * FORGETTING,
				Min(outcome->mem_bytes / shipped, MOST_MEMORY_RATIO));
	}
	own->biggest_ok = Max(own->biggest_ok, batch);
	if (own->smallest_ok == 0 || batch < own->smallest_ok)
		own->smallest_ok = batch;
}

/*
 * Draws coefficients from what fit believes them to be (Thompson sampling).
 */
void
VrFitDraw(const VrFit *fit, VrRandom *random, VrFit *drawn)
{
	double step[VR_COEFS];
	double sd = sqrt(Max(fit->usl_var[0], 0));

	*drawn = *fit;
	for (int i = 0; i < VR_COEFS; i++)
		step[i] = VrRandomNormal(random);
	model_backward(fit->chol, VR_COEFS, step);
	for (int i = 0; i < VR_COEFS; i++)
		drawn->coef[i] = Max(fit->coef[i] + step[i], 0);
	drawn->sigma = Max(fit->sigma + sd * VrRandomNormal(random), 0);
	sd = sqrt(Max(fit->usl_var[2], 0));
	drawn->kappa = Max(fit->kappa + sd * VrRandomNormal(random), 0);
}

/* Begins a sequence; the same seed gives the same one. */
void
VrRandomSeed(VrRandom *random, uint64 seed)
{
	random->state = seed;
}

/* splitmix64: every state is a good one, so any seed will do. */
static uint64
random_next(VrRandom *random)
{
	uint64 z = (random->state += UINT64CONST(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* In [0, 1). */
double
VrRandomUniform(VrRandom *random)
{
	return (double) (random_next(random) >> 11) / 9007199254740992.0;
}

/* Of mean 0 and standard deviation 1 (Box and Muller). */
double
VrRandomNormal(VrRandom *random)
{
	double u = 1 - VrRandomUniform(random);
	double v = VrRandomUniform(random);

	return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}
