/*
 * knn_guess.c
 *		How near will a query's k-th row be? A guess from a sample of the table,
 *		before all of it is scanned.
 *
 * A search that knows nothing keeps its first k rows of every query, then half
 * of the next k, a third of those after: k (1 + ln(rows / k)) in all, each
 * measured, kept, and cut again; and several processes each as many. Rows
 * beyond a bound that about twice k rows reach need none of that.
 *
 * A guess can be wrong: the search then finds fewer than k rows of a query, and
 * scans again for those queries (VrKnnSearchReopen). So it is on the safe side:
 * of r expected rows of the sample within the true distance, where there may be
 * more by chance, it takes one four deviations farther. Blocks are taken from
 * all over the table, in runs, as rows that are near to each other may have been
 * stored together.
 */
#include "postgres.h"

#include <math.h>

#include "access/heapam.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "fmgr.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "knn/knn_private.h"

/* Fewer queries or results are found without sooner. */
#define GUESS_QUERIES 32
#define GUESS_K 128

/* Most and least of a table's blocks that are read, and the runs of them. */
#define GUESS_MOST (1.0 / 16)
#define GUESS_LEAST (1.0 / 128)
#define GUESS_RUNS 64

/*
 * Rows of the sample that are to be within the true distance: with more, the
 * sample takes longer, with fewer, the guess is farther.
 */
#define GUESS_EXPECTED 20

/* What the sample is divided by for the part that is searched before it. */
#define GUESS_PART 8

void
VrKnnGuessesInit(VrKnnGuesses *guesses)
{
	pg_atomic_init_u32(&guesses->ready, 0);
	ConditionVariableInit(&guesses->made);
}

void
VrKnnGuessesReady(VrKnnGuesses *guesses)
{
	pg_write_barrier();
	pg_atomic_write_u32(&guesses->ready, 1);
	ConditionVariableBroadcast(&guesses->made);
}

/* Until they are made. A leader that fails ends its workers, here too. */
void
VrKnnGuessesWait(VrKnnGuesses *guesses)
{
	while (pg_atomic_read_u32(&guesses->ready) == 0)
		ConditionVariableSleep(&guesses->made, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
	pg_read_barrier();
}

/* Does it pay, and can blocks of this table be chosen? */
bool
VrKnnGuessPays(const VrKnnTable *table, const VrKnnSpec *spec,
			   const VrKnnPlan *plan)
{
	Relation rel;
	bool pays;

	if (!table->plain || table->keytype != NULL || !plan->tiled ||
		plan->pass_queries < GUESS_QUERIES || spec->k < GUESS_K)
		return false;
	rel = table_open(table->relid, NoLock);
	pays = rel->rd_tableam == GetHeapamTableAmRoutine() &&
		   RelationGetNumberOfBlocks(rel) >= GUESS_RUNS / GUESS_MOST;
	table_close(rel, NoLock);
	return pays;
}

/* What all samples of a guess have in common. */
typedef struct Guess
{
	Relation rel;
	BlockNumber blocks;
	const VrKnnTable *table;
	const VrKnnSpec *spec;
	const VrKnnPlan *plan;
	int first; /* queries of the spec */
	int count;
} Guess;

/* How many of the nearest rows to take where so many are expected. */
static int
GuessFarther(double expected)
{
	return ceil(expected + 4 * sqrt(expected) + 4);
}

/*
 * Sets order[i] to that of the k-th nearest row of a sample, in runs of so many
 * blocks, for query first + i, or to the greatest of all where there are fewer.
 * `within` are guesses for the search of the sample, or NULL.
 */
static void
GuessFromSample(const Guess *guess, BlockNumber run, int k,
				VrKnnGuesses *within, uint64 *order)
{
	VrKnnSpec spec = *guess->spec;
	VrKnnPlan plan = *guess->plan;
	VrKnnSearch *search;
	VrKnnReader reader;
	TableScanDesc scan;
	int i;

	spec.k = k;
	plan.spare = Min(plan.spare, Max(k / 2, 16));
	search = VrKnnSearchBegin(&spec, &plan, guess->first, guess->count, NULL);
	if (within != NULL)
		VrKnnSearchUseGuesses(search, within);
	VrKnnReaderInitSearch(&reader, guess->table, search);
	/* As a scan of the whole would, so that buffers are treated alike. */
	scan = table_beginscan_strat(guess->rel, GetActiveSnapshot(), 0, NULL, true,
								 false);
	for (i = 0; i < GUESS_RUNS; i++)
	{
		if (i > 0)
			table_rescan(scan, NULL);
		heap_setscanlimits(scan, (uint64) guess->blocks * i / GUESS_RUNS, run);
		VrKnnReadScan(&reader, guess->rel, scan);
	}
	table_endscan(scan);
	VrKnnReaderEnd(&reader);
	VrKnnSearchLast(search, order);
	VrKnnSearchEnd(search);
}

VrKnnGuesses *
VrKnnGuessesMake(int count)
{
	VrKnnGuesses *guesses =
		palloc(offsetof(VrKnnGuesses, order) + count * sizeof(uint64));

	VrKnnGuessesInit(guesses);
	return guesses;
}

/*
 * Sets order[i] to the guess for query first + i, or to the greatest of all
 * where the sample has too few rows. The sample is to its own search what the
 * table is to all: a part of it says within what to look.
 */
void
VrKnnGuess(const VrKnnTable *table, const VrKnnSpec *spec,
		   const VrKnnPlan *plan, int first, int count, uint64 *order)
{
	Guess guess = {.rel = table_open(table->relid, NoLock),
				   .table = table,
				   .spec = spec,
				   .plan = plan,
				   .first = first,
				   .count = count};
	VrKnnGuesses *within = NULL;
	BlockNumber run;
	BlockNumber part;
	double share;
	int k;

	guess.blocks = RelationGetNumberOfBlocks(guess.rel);
	share =
		Min(Max((double) GUESS_EXPECTED / spec->k, GUESS_LEAST), GUESS_MOST);
	run = Max(guess.blocks * share / GUESS_RUNS, 1);
	k = GuessFarther(spec->k * ((double) run * GUESS_RUNS / guess.blocks));
	part = Max(run / GUESS_PART, 1);
	if (part < run)
	{
		within = VrKnnGuessesMake(count);
		GuessFromSample(&guess, part, GuessFarther((double) k * part / run),
						NULL, within->order);
		VrKnnGuessesReady(within);
	}
	GuessFromSample(&guess, run, k, within, order);
	if (within != NULL)
		pfree(within);
	table_close(guess.rel, NoLock);
}
