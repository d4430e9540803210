/*
 * hnsw_progress.c
 *		How far the vacuum of an index has come, for vecrecall.stat_progress_vacuum.
 *
 * The server tells of a VACUUM that it vacuums indexes, and from 17 on how many
 * it has finished, but has no place for what one of them does. Of the numbers
 * that a backend may publish of its command it uses the first ten or so; these
 * are the last six. Whoever ends the command, or breaks it off, clears them.
 *
 * A worker of a parallel vacuum publishes nothing of its own. Here it says that
 * it vacuums an index of the table, so pg_stat_progress_vacuum has a row for it
 * as well.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "commands/progress.h"
#include "pgstat.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/rel.h"

#include "hnsw/hnsw_vacuum.h"

/* From 0 here, from 1 in the names of columns in sql/install. */
#define PROGRESS_INDEX 14
#define PROGRESS_PHASE 15
#define PROGRESS_BLOCKS 16  /* in total, and done */
#define PROGRESS_RECORDS 18 /* likewise */
#define PROGRESS_FIRST PROGRESS_INDEX
#define PROGRESS_NUMBERS 6

StaticAssertDecl(PROGRESS_FIRST + PROGRESS_NUMBERS == PGSTAT_NUM_PROGRESS_PARAM,
				 "view vecrecall.stat_progress_vacuum names the last columns");

/* What a phase counts. */
static int
ProgressUnit(VrVacuumPhase phase)
{
	switch (phase)
	{
		case VR_VACUUM_DELETE:
		case VR_VACUUM_REPAIR:
			return PROGRESS_BLOCKS;
		case VR_VACUUM_NONE:
		case VR_VACUUM_UPPERS:
		case VR_VACUUM_WAIT:
		case VR_VACUUM_LINK:
		case VR_VACUUM_JOIN:
		case VR_VACUUM_STEMS:
		case VR_VACUUM_FREE:
			break;
	}
	return PROGRESS_RECORDS;
}

/* Publishes all numbers at once. */
static void
ProgressSet(Oid index, VrVacuumPhase phase, uint64 total)
{
	int at[PROGRESS_NUMBERS];
	int64 numbers[PROGRESS_NUMBERS] = {0};
	int i;

	for (i = 0; i < PROGRESS_NUMBERS; i++)
		at[i] = PROGRESS_FIRST + i;
	numbers[PROGRESS_INDEX - PROGRESS_FIRST] = index;
	numbers[PROGRESS_PHASE - PROGRESS_FIRST] = phase;
	numbers[ProgressUnit(phase) - PROGRESS_FIRST] = total;
	pgstat_progress_update_multi_param(PROGRESS_NUMBERS, at, numbers);
}

/*
 * Says from now on what a run does, if the command is VACUUM. CREATE INDEX
 * CONCURRENTLY calls ambulkdelete too, to see which rows an index has: the
 * numbers are those of another command then.
 */
void
VrHnswProgressBegin(VrHnswVacuum *v)
{
	v->progress = VR_PROGRESS_NONE;
	if (MyBEEntry == NULL)
		return;
	if (MyBEEntry->st_progress_command == PROGRESS_COMMAND_VACUUM)
		v->progress = VR_PROGRESS_OF_COMMAND;
	else if (IsParallelWorker() &&
			 MyBEEntry->st_progress_command == PROGRESS_COMMAND_INVALID)
	{
		v->progress = VR_PROGRESS_OF_WORKER;
		pgstat_progress_start_command(PROGRESS_COMMAND_VACUUM,
									  v->index->rd_index->indrelid);
		pgstat_progress_update_param(PROGRESS_VACUUM_PHASE,
									 PROGRESS_VACUUM_PHASE_VACUUM_INDEX);
	}
}

/* The next phase begins. total is what VrHnswProgressDone counts towards. */
void
VrHnswProgressPhase(VrHnswVacuum *v, VrVacuumPhase phase, uint64 total)
{
	v->phase = phase;
	if (v->progress != VR_PROGRESS_NONE)
		ProgressSet(RelationGetRelid(v->index), phase, total);
}

/* So many blocks or records of the phase are done. */
void
VrHnswProgressDone(VrHnswVacuum *v, uint64 done)
{
	if (v->progress != VR_PROGRESS_NONE)
		pgstat_progress_update_param(ProgressUnit(v->phase) + 1, done);
}

/* There are so many by now; blocks are added to an index meanwhile. */
void
VrHnswProgressTotal(VrHnswVacuum *v, uint64 total)
{
	if (v->progress != VR_PROGRESS_NONE)
		pgstat_progress_update_param(ProgressUnit(v->phase), total);
}

void
VrHnswProgressEnd(VrHnswVacuum *v)
{
	if (v->progress == VR_PROGRESS_OF_COMMAND)
		ProgressSet(InvalidOid, VR_VACUUM_NONE, 0);
	else if (v->progress == VR_PROGRESS_OF_WORKER)
		pgstat_progress_end_command();
	v->progress = VR_PROGRESS_NONE;
}
