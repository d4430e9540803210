/*
 * knn_progress.c
 *		How far a long search is, where an administrator looks: in the query of
 *		pg_stat_activity, as autovacuum has it. The server's progress views know
 *		its own commands only.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "utils/timestamp.h"

#include "knn/knn_private.h"

/* Nobody looks at what lasts less. */
#define PROGRESS_EVERY_MS 1000

static const char *progress_what = NULL;
static int64 progress_total;
static TimestampTz progress_shown;
static TimestampTz progress_statement; /* whose it is: not if that failed */
static bool progress_replaced;

void
VrKnnProgressBegin(const char *what, int64 total)
{
	progress_what = IsParallelWorker() ? NULL : what;
	progress_total = total;
	progress_shown = GetCurrentTimestamp();
	progress_statement = GetCurrentStatementStartTimestamp();
	progress_replaced = false;
}

void
VrKnnProgressReport(int64 rows)
{
	char text[256];
	TimestampTz now;

	if (progress_what == NULL ||
		progress_statement != GetCurrentStatementStartTimestamp())
		return;
	now = GetCurrentTimestamp();
	if (!TimestampDifferenceExceeds(progress_shown, now, PROGRESS_EVERY_MS))
		return;
	progress_shown = now;
	progress_replaced = true;
	if (progress_total > 0)
		snprintf(text, sizeof(text),
				 "vecrecall.%s: " INT64_FORMAT " of about " INT64_FORMAT
				 " rows: ",
				 progress_what, rows, progress_total);
	else
		snprintf(text, sizeof(text),
				 "vecrecall.%s: " INT64_FORMAT " rows: ", progress_what, rows);
	strlcat(text, debug_query_string != NULL ? debug_query_string : "",
			sizeof(text));
	/* No part of a character: readers take the text for valid. */
	text[pg_mbcliplen(text, strlen(text), strlen(text))] = '\0';
	pgstat_report_activity(STATE_RUNNING, text);
}

/* After an error the next statement's report takes the place of ours. */
void
VrKnnProgressEnd(void)
{
	if (progress_what != NULL && progress_replaced)
		pgstat_report_activity(STATE_RUNNING, debug_query_string);
	progress_what = NULL;
}
