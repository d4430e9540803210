#!/bin/sh
# layers.sh: a folder of src includes only what is below it, and of another
# folder only its public header. See src/README.md for the map.
. test/lint/lib.sh

# may FOLDER: the folders it may include, besides its own
may()
{
	case $1 in
	base | blas) echo ;;
	distance) echo base ;;
	quant | types) echo base distance ;;
	planner) echo base ;;
	hnsw) echo base distance quant types ;;
	knn) echo base distance quant types blas ;;
	tiers) echo base hnsw ;;
	recall) echo base distance quant types hnsw knn ;;
	pipeline) echo base types planner ;;
	.) echo base distance quant types hnsw knn tiers planner recall pipeline ;;
	*) echo "?" ;;
	esac
}

# public FOLDER: the header that other folders include
public()
{
	case $1 in
	types) echo types/vector.h ;;
	*) echo "$1/$1.h" ;;
	esac
}

find src -name '*.[ch]' | sort | while read -r f; do
	dir=$(dirname "${f#src/}")
	sed -n 's/^# *include "\([a-z]*\/[a-z0-9_]*\.h\)".*/\1/p' "$f" |
		while read -r inc; do
			target=${inc%%/*}
			[ -e "src/$inc" ] || continue # the server's
			[ "$target" != "$dir" ] || continue
			case " $(may "$dir") " in
			*" $target "*) ;;
			*) echo "$f may not include $inc" ;;
			esac
			[ "$target" = base ] || [ "$inc" = "$(public "$target")" ] ||
				echo "$f includes $inc, which is private to src/$target"
		done
done | lint_none 'folders include only what is below them'

find src -mindepth 1 -type d | while read -r d; do
	[ "$(may "${d#src/}")" != '?' ] || echo "$d"
done | lint_none 'every folder of src has its place in layers.sh'

# Kernels and codecs are used without a server, by the unit tests.
grep -nE '# *include "(postgres|fmgr|utils/|access/|catalog/|storage/|executor/|nodes/)' \
	src/distance/*.[ch] | lint_none 'src/distance knows no server'

grep -lE 'openblas_|cblas\.h' -r src --include='*.[ch]' |
	grep -v '^src/blas/' |
	lint_none 'only the module for BLAS is compiled against it'
# The one gate to the pages of an index, and the one that logs their changes; a
# build makes new ones, and logs them whole.
grep -nE '(\<|Vr)Read(Recent)?Buffer(Extended)?\(' src/hnsw/*.c |
	grep -v -e '^src/hnsw/hnsw_page\.c:' -e '^src/hnsw/hnsw_\(build\|flush\)\.c:.*\(P_NEW\|INIT_FORKNUM\)' |
	lint_none 'pages of hnsw indexes are read in hnsw_page.c only'
grep -nE 'XLogInsert|GenericXLog|log_newpage' src/hnsw/*.c |
	grep -v -e '^src/hnsw/hnsw_wal\.c:' -e '^src/hnsw/hnsw_build\.c:' |
	lint_none 'changes of them are logged in hnsw_wal.c, builds in hnsw_build.c'
lint_end
