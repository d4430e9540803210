/*
 * hnsw_validate.c
 *		amvalidate: whether an operator class is complete and rightly typed.
 */
#include "postgres.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "hnsw/hnsw_private.h"

#define VALIDATE_COMPLAIN(...)                                                 \
	do                                                                         \
	{                                                                          \
		ereport(INFO, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),             \
					   errmsg(__VA_ARGS__)));                                  \
		ok = false;                                                            \
	} while (0)

/* Checks the support functions; *distance says whether there is a distance. */
static bool
ValidateProcs(CatCList *procs, const char *family, bool *distance)
{
	bool ok = true;
	int i;

	*distance = false;
	for (i = 0; i < procs->n_members; i++)
	{
		Form_pg_amproc proc =
			(Form_pg_amproc) GETSTRUCT(&procs->members[i]->tuple);
		Oid type = proc->amproclefttype;
		bool good = false;

		switch (proc->amprocnum)
		{
			case VR_HNSW_DISTANCE_PROC:
				*distance = true;
				good = check_amproc_signature(proc->amproc, FLOAT8OID, true, 2,
											  2, type, type);
				break;
			case VR_HNSW_NORM_PROC:
				good = check_amproc_signature(proc->amproc, FLOAT8OID, true, 1,
											  1, type);
				break;
			case VR_HNSW_TYPE_INFO_PROC:
				good = check_amproc_signature(proc->amproc, INTERNALOID, true,
											  1, 1, INTERNALOID);
				break;
			case VR_HNSW_HASH_PROC:
				good = check_amproc_signature(proc->amproc, INT8OID, true, 2, 2,
											  type, INT8OID);
				break;
			default:
				VALIDATE_COMPLAIN("operator family \"%s\" of access method "
								  "hnsw contains function %s with invalid "
								  "support number %d",
								  family, format_procedure(proc->amproc),
								  proc->amprocnum);
				continue;
		}
		if (!good)
			VALIDATE_COMPLAIN("operator family \"%s\" of access method hnsw "
							  "contains function %s with wrong signature for "
							  "support number %d",
							  family, format_procedure(proc->amproc),
							  proc->amprocnum);
	}
	return ok;
}

/* Checks the operators; *ordering and *equality say what there is. */
static bool
ValidateOperators(CatCList *opers, const char *family, bool *ordering,
				  bool *equality)
{
	bool ok = true;
	int i;

	*ordering = *equality = false;
	for (i = 0; i < opers->n_members; i++)
	{
		Form_pg_amop oper = (Form_pg_amop) GETSTRUCT(&opers->members[i]->tuple);
		bool order = oper->amoppurpose == AMOP_ORDER;
		int want = order ? VR_HNSW_DISTANCE_STRATEGY : VR_HNSW_EQUAL_STRATEGY;

		if (oper->amopstrategy != want)
			VALIDATE_COMPLAIN("operator family \"%s\" of access method hnsw "
							  "contains operator %s with invalid strategy "
							  "number %d",
							  family, format_operator(oper->amopopr),
							  oper->amopstrategy);
		if (!check_amop_signature(oper->amopopr, order ? FLOAT8OID : BOOLOID,
								  oper->amoplefttype, oper->amoprighttype))
			VALIDATE_COMPLAIN("operator family \"%s\" of access method hnsw "
							  "contains operator %s with wrong signature",
							  family, format_operator(oper->amopopr));
		if (order)
			*ordering = true;
		else
			*equality = true;
	}
	return ok;
}

/* The name of an operator family, for messages. */
static char *
ValidateFamilyName(Oid family)
{
	HeapTuple tuple = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(family));
	char *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator family %u", family);
	name = pstrdup(NameStr(((Form_pg_opfamily) GETSTRUCT(tuple))->opfname));
	ReleaseSysCache(tuple);
	return name;
}

/*
 * amvalidate. A class either orders by distance (functions 1 to 3) or filters
 * by equality (function 4, if its type does not fit a word).
 */
bool
vr_hnsw_validate(Oid opclassoid)
{
	bool ok = true;
	HeapTuple tuple;
	Form_pg_opclass opclass;
	CatCList *procs;
	CatCList *opers;
	char *family;
	bool distance;
	bool ordering;
	bool equality;

	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclassoid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclassoid);
	opclass = (Form_pg_opclass) GETSTRUCT(tuple);
	family = ValidateFamilyName(opclass->opcfamily);
	procs =
		SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(opclass->opcfamily));
	opers =
		SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(opclass->opcfamily));
	ok &= ValidateProcs(procs, family, &distance);
	ok &= ValidateOperators(opers, family, &ordering, &equality);
	if (distance != ordering || distance == equality)
		VALIDATE_COMPLAIN("operator family \"%s\" of access method hnsw must "
						  "have a distance function and operator, or an "
						  "equality operator",
						  family);
	ReleaseCatCacheList(procs);
	ReleaseCatCacheList(opers);
	ReleaseSysCache(tuple);
	return ok;
}
