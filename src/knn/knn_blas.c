/*
 * knn_blas.c
 *		BLAS in a backend: loaded at the first call that wants it, one thread
 *		unless vecrecall.blas_threads says otherwise.
 *
 * OpenBLAS reads its environment, takes buffers and starts threads while it is
 * being loaded, so what is loaded is a module of its own, and not through the
 * server: the server's loader makes symbols global, and has every parallel
 * worker load what its leader has.
 *
 * Threads of a library must never run the server's signal handlers. They
 * inherit the mask of the thread that starts them, so signals are blocked
 * wherever OpenBLAS may start one: while it is loaded, when the number of
 * threads is set, and (as builds with OpenMP start them there) in any call
 * that may use more than one.
 */
#include "postgres.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "blas/blas.h"
#include "distance/distance.h"
#include "knn/knn.h"
#include "knn/knn_coarse.h"
#include "knn/knn_private.h"

#define BLAS_CORE_VARIABLE "OPENBLAS_CORETYPE"

static int blas_threads = 1;

static const VrBlas *blas_loaded = NULL;
static int blas_threads_set = 0; /* what OpenBLAS was told last */
static bool blas_missing = false;
static char blas_core[VR_KNN_BLAS_CORE] =
	""; /* what OpenBLAS is told of the CPU, if at all */

/* Blocks every signal that can be, but for those of a fault in our own code. */
static void
BlasBlockSignals(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	sigdelset(&all, SIGTRAP);
	sigprocmask(SIG_SETMASK, &all, old);
}

static void
BlasRestoreSignals(const sigset_t *old)
{
	sigprocmask(SIG_SETMASK, old, NULL);
}

/* The module lies beside this library, wherever that was loaded from. */
static bool
BlasModulePath(char *path)
{
	Dl_info here;
	char *slash;

	if (dladdr((void *) VrKnnInit, &here) == 0 || here.dli_fname == NULL)
		return false;
	strlcpy(path, here.dli_fname, MAXPGPATH);
	slash = strrchr(path, '/');
	if (slash == NULL)
		return false;
	slash[1] = '\0';
	return strlcat(path, "vecrecall_blas" VR_DLSUFFIX, MAXPGPATH) < MAXPGPATH;
}

/*
 * dlopen with one thread, whatever the environment asks OpenBLAS for: a number
 * that an administrator set for other programs must not reach a backend. core,
 * if any, is the CPU that it is to take this one for.
 */
static void *
BlasOpen(const char *path, const char *core, int flags)
{
	const char *const names[] = {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS",
								 BLAS_CORE_VARIABLE};
	const char *const values[] = {"1", "1", core};
	char *saved[lengthof(names)];
	sigset_t old;
	void *handle;
	int i;

	for (i = 0; i < lengthof(names); i++)
	{
		char *value = getenv(names[i]);

		saved[i] = value != NULL ? pstrdup(value) : NULL;
		if (values[i] != NULL)
			setenv(names[i], values[i], 1);
	}
	BlasBlockSignals(&old);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | flags);
	BlasRestoreSignals(&old);
	for (i = 0; i < lengthof(names); i++)
	{
		if (saved[i] != NULL)
			setenv(names[i], saved[i], 1);
		else
			unsetenv(names[i]);
	}
	return handle;
}

/*
 * The CPU that OpenBLAS should take this one for, or NULL if it knows better.
 * For a model newer than itself it takes its oldest kernels, called Prescott,
 * whatever instructions the CPU has: a quarter of the speed. Who sets the
 * variable has chosen.
 */
static const char *
BlasBetterCore(const char *core)
{
	const char *best = VrDistanceAvailable()[0]->name;

	if (getenv(BLAS_CORE_VARIABLE) != NULL || core == NULL ||
		pg_strcasecmp(core, "Prescott") != 0)
		return NULL;
	if (strcmp(best, "avx512") == 0)
		return "SkylakeX";
	return strcmp(best, "avx2") == 0 ? "Haswell" : NULL;
}

/*
 * Opens the module for good. Its kernels are chosen while it is loaded, so
 * where they are to be others it is unloaded, and loaded again; a copy that
 * something else in this process holds stays as it is.
 */
static void *
BlasOpenFast(const char *path)
{
	void *handle;

	if (blas_core[0] == '\0')
	{
		const char *core = NULL;
		VrBlasTable table;

		handle = BlasOpen(path, NULL, 0);
		if (handle == NULL)
			return NULL;
		table = (VrBlasTable) dlsym(handle, VR_BLAS_SYMBOL);
		if (table != NULL && table()->abi == VR_BLAS_ABI)
			core = BlasBetterCore(table()->core());
		if (core != NULL)
		{
			strlcpy(blas_core, core, sizeof(blas_core));
			dlclose(handle);
		}
	}
	return BlasOpen(path, blas_core[0] != '\0' ? blas_core : NULL,
					RTLD_NODELETE);
}

void
VrKnnBlasCore(char *core, Size size)
{
	strlcpy(core, blas_core, size);
}

void
VrKnnBlasSetCore(const char *core)
{
	strlcpy(blas_core, core, sizeof(blas_core));
}

/*
 * Loads the module, or finds out once per session that it cannot be. A module
 * that is there but not ours is an error; one that is missing costs speed only.
 */
static void
BlasLoad(void)
{
	char path[MAXPGPATH];
	void *handle;
	VrBlasTable table;

	if (MyProcPid == PostmasterPid)
		elog(ERROR, "BLAS must not be loaded into the postmaster");
	if (!BlasModulePath(path) || (handle = BlasOpenFast(path)) == NULL)
	{
		const char *why = dlerror();

		blas_missing = true;
		ereport(WARNING,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("could not load the module for BLAS: %s",
						why != NULL ? why : "its place is not known"),
				 errhint("Batch functions work without it, more slowly. "
						 "Reinstall vecrecall and OpenBLAS, or set "
						 "vecrecall.blas_threads to 0.")));
		return;
	}
	table = (VrBlasTable) dlsym(handle, VR_BLAS_SYMBOL);
	if (table == NULL || table()->abi != VR_BLAS_ABI ||
		table()->floats != sizeof(float))
		ereport(
			ERROR,
			(errcode(ERRCODE_SYSTEM_ERROR),
			 errmsg("library \"%s\" is of another version of vecrecall", path),
			 errhint("Install vecrecall again, and start a new "
					 "session.")));
	blas_loaded = table();
	blas_threads_set = 1;
}

/* The BLAS to use with its threads set, or NULL for our own kernels. */
static const VrBlas *
BlasGet(void)
{
	if (blas_threads == 0 || blas_missing)
		return NULL;
	if (blas_loaded == NULL)
	{
		BlasLoad();
		if (blas_loaded == NULL)
			return NULL;
	}
	if (blas_threads_set != blas_threads)
	{
		sigset_t old;

		BlasBlockSignals(&old);
		blas_loaded->set_threads(blas_threads);
		BlasRestoreSignals(&old);
		blas_threads_set = blas_threads;
	}
	return blas_loaded;
}

bool
VrKnnBlasUsable(void)
{
	return BlasGet() != NULL;
}

bool
VrKnnBlasState(const char **name, int *threads)
{
	if (blas_loaded == NULL)
		return false;
	*name = blas_loaded->describe();
	*threads = blas_loaded->get_threads();
	return true;
}

void
VrKnnKernelProducts(int na, int nb, int dim, const float *a, int lda,
					const float *b, int ldb, float *out, int ldo)
{
	int i;
	int j;

	CHECK_FOR_INTERRUPTS();
	for (i = 0; i < na; i++)
		for (j = 0; j < nb; j++)
			out[(size_t) i * ldo + j] = VrDistance->ip_f32(
				dim, a + (size_t) i * lda, b + (size_t) j * ldb);
}

void
VrKnnProducts(int na, int nb, int dim, const float *a, int lda, const float *b,
			  int ldb, float *out, int ldo)
{
	const VrBlas *blas;

	CHECK_FOR_INTERRUPTS();
	blas = BlasGet();
	if (blas == NULL)
		VrKnnKernelProducts(na, nb, dim, a, lda, b, ldb, out, ldo);
	else if (blas_threads == 1)
		blas->products(na, nb, dim, a, lda, b, ldb, out, ldo);
	else
	{
		sigset_t old;

		BlasBlockSignals(&old);
		blas->products(na, nb, dim, a, lda, b, ldb, out, ldo);
		BlasRestoreSignals(&old);
	}
}

void
VrKnnInit(void)
{
	DefineCustomIntVariable(
		"vecrecall.blas_threads",
		"Threads of OpenBLAS in a session, and in each worker of its batch "
		"functions.",
		"0 does the work with the library's own kernels and loads no BLAS.",
		&blas_threads, 1, 0, 64, PGC_USERSET, 0, NULL, NULL, NULL);
	VrKnnCoarseInit();
}
