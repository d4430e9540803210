-- Storage tiers: shared buffers, the system's cache, tablespaces. PostgreSQL
-- has them; these functions show what is where, and steer it.

CREATE FUNCTION vecrecall.prewarm(rel regclass, what text DEFAULT 'upper')
RETURNS bigint
AS 'MODULE_PATHNAME', 'vr_prewarm'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 100000;
COMMENT ON FUNCTION vecrecall.prewarm(regclass, text) IS
'reads a part of an hnsw index into shared buffers and returns the number of blocks: entry (where a search begins), upper (that and the upper levels), graph (that and all vertices) or all, which other relations have too; for the owner';

CREATE FUNCTION vecrecall._relation_parts(rel regclass,
	OUT part text, OUT first_block bigint, OUT blocks bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'vr_relation_parts'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vecrecall._relation_parts(regclass) IS
'ranges of blocks that vecrecall.prewarm calls parts';

CREATE FUNCTION vecrecall.buffer_residency(rel regclass)
RETURNS TABLE (relation regclass, part text, bytes bigint,
	resident_bytes bigint, resident float8, dirty_bytes bigint, usage float8,
	note text)
LANGUAGE plpgsql VOLATILE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	block CONSTANT bigint := current_setting('block_size')::bigint;
	schema text := (SELECT quote_ident(n.nspname)
		FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
		WHERE e.extname = 'pg_buffercache');
	buffers text := schema || '.pg_buffercache';
BEGIN
	IF buffers IS NULL THEN
		note := 'pg_buffercache is not installed: CREATE EXTENSION pg_buffercache shows what is resident';
	ELSIF NOT has_schema_privilege((SELECT e.extnamespace FROM pg_extension e WHERE e.extname = 'pg_buffercache'), 'USAGE')
		OR NOT has_table_privilege(buffers, 'SELECT')
		OR NOT has_function_privilege(schema || '.pg_buffercache_pages()', 'EXECUTE') THEN
		buffers := NULL;
		note := 'pg_buffercache is not for this role: members of pg_monitor may use it';
	END IF;
	FOR relation, part, bytes, resident_bytes, dirty_bytes, usage IN EXECUTE format($q$
		WITH rels AS (
			SELECT c.oid, c.relkind, c.reltablespace, pg_relation_filenode(c.oid) AS filenode
			FROM pg_class c, pg_class r
			WHERE r.oid = $1 AND (c.oid IN (r.oid, r.reltoastrelid)
				OR c.oid IN (SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = r.reltoastrelid))
		), parts AS (
			SELECT r.oid, r.filenode, r.reltablespace, p.first_block, p.blocks,
				CASE WHEN p.part <> 'all' THEN p.part WHEN r.oid = $1 AND r.relkind = 'i' THEN 'index'
					WHEN r.oid = $1 THEN 'table' WHEN r.relkind = 't' THEN 'toast' ELSE 'toast index' END AS part,
				row_number() OVER (ORDER BY r.oid <> $1, r.relkind DESC, p.first_block, p.blocks) AS no
			FROM rels r, LATERAL vecrecall._relation_parts(r.oid) p
		)
		SELECT p.oid::regclass, p.part, p.blocks * $2, b.pages * $2, b.dirty * $2, b.usage
		FROM parts p, LATERAL (%s) b
		ORDER BY p.no
		$q$, CASE WHEN buffers IS NULL
			THEN 'SELECT NULL::bigint AS pages, NULL::bigint AS dirty, NULL::float8 AS usage'
			ELSE format($b$
				SELECT count(*) AS pages, count(*) FILTER (WHERE b.isdirty) AS dirty, avg(b.usagecount)::float8 AS usage
				FROM %s b
				WHERE b.relfilenode = p.filenode AND b.relforknumber = 0
					AND b.reldatabase = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
					AND b.reltablespace = CASE p.reltablespace
						WHEN 0 THEN (SELECT d.dattablespace FROM pg_database d WHERE d.datname = current_database())
						ELSE p.reltablespace END
					AND b.relblocknumber >= p.first_block AND b.relblocknumber < p.first_block + p.blocks
				$b$, buffers) END)
		USING rel::oid, block
	LOOP
		resident := CASE WHEN bytes > 0 THEN resident_bytes::float8 / bytes END;
		RETURN NEXT;
	END LOOP;
END $$;
COMMENT ON FUNCTION vecrecall.buffer_residency(regclass) IS
'bytes of each part of a table or index, and how many of them are in shared buffers; those are null, and note says why, where pg_buffercache is not installed or not allowed';

CREATE FUNCTION vecrecall.tier_advice(cold_tablespace name DEFAULT 'cold')
RETURNS TABLE (relation regclass, kind text, tier text, bytes bigint,
	scans bigint, hit_ratio float8, reason text, statement text)
LANGUAGE plpgsql VOLATILE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	buffers CONSTANT bigint := pg_size_bytes(current_setting('shared_buffers'));
	used bigint := 0;
BEGIN
	IF cold_tablespace IS NULL THEN
		RAISE EXCEPTION 'cold_tablespace must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	FOR relation, kind, bytes, scans, hit_ratio, statement IN
		WITH vectors AS (
			SELECT a.attrelid, min(quote_ident(a.attname)) FILTER (WHERE t.typname = 'vector') AS wide, max(a.atttypmod) AS dim
			FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
			JOIN pg_class c ON c.oid = a.attrelid
			WHERE t.typname IN ('vector', 'halfvec', 'sparsevec') AND c.relkind IN ('r', 'm')
				AND a.attnum > 0 AND NOT a.attisdropped
				AND t.typnamespace = (SELECT extnamespace FROM pg_extension e WHERE e.oid =
					(SELECT d.refobjid FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'))
			GROUP BY a.attrelid
		)
		SELECT s.relid::regclass, CASE WHEN c.relispartition THEN 'partition' ELSE 'table' END,
			pg_table_size(s.relid), coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0),
			(io.heap_blks_hit + coalesce(io.toast_blks_hit, 0))::float8 / nullif(io.heap_blks_hit + io.heap_blks_read + coalesce(io.toast_blks_hit + io.toast_blks_read, 0), 0),
			CASE WHEN v.wide IS NOT NULL AND v.dim > 0 THEN format('ALTER TABLE %s ALTER COLUMN %s TYPE halfvec(%s)', s.relid::regclass, v.wide, v.dim) END
		FROM vectors v JOIN pg_stat_all_tables s ON s.relid = v.attrelid
		JOIN pg_statio_all_tables io ON io.relid = s.relid JOIN pg_class c ON c.oid = s.relid
		WHERE s.schemaname <> 'pg_toast'
		UNION ALL
		SELECT s.indexrelid::regclass, 'hnsw index', pg_relation_size(s.indexrelid), s.idx_scan,
			io.idx_blks_hit::float8 / nullif(io.idx_blks_hit + io.idx_blks_read, 0), NULL
		FROM vectors v JOIN pg_stat_all_indexes s ON s.relid = v.attrelid
		JOIN pg_statio_all_indexes io ON io.indexrelid = s.indexrelid
		JOIN pg_class c ON c.oid = s.indexrelid JOIN pg_am am ON am.oid = c.relam
		WHERE am.amname = 'hnsw'
		ORDER BY 4 DESC NULLS LAST, 1
	LOOP
		tier := CASE WHEN coalesce(scans, 0) = 0 THEN 'cold' WHEN coalesce(hit_ratio, 1) >= 0.95 THEN 'hot' ELSE 'warm' END;
		IF tier <> 'cold' THEN
			used := used + bytes;
		END IF;
		IF tier = 'cold' THEN
			reason := 'not scanned since statistics were reset';
			statement := format('ALTER %s %s SET TABLESPACE %I', CASE kind WHEN 'hnsw index' THEN 'INDEX' ELSE 'TABLE' END, relation, cold_tablespace);
		ELSIF tier = 'hot' THEN
			reason := 'served from shared buffers';
			statement := CASE kind WHEN 'hnsw index' THEN format('SELECT vecrecall.prewarm(%L, ''graph'')', relation) END;
		ELSIF kind = 'hnsw index' THEN
			reason := 'scanned, and often read from outside shared buffers';
			statement := format('SELECT vecrecall.prewarm(%L, ''upper'')', relation);
		ELSE
			reason := 'scanned, and often read from outside shared buffers; half precision halves it';
		END IF;
		RETURN NEXT;
	END LOOP;
	IF used > buffers THEN
		relation := NULL;
		kind := 'setting';
		tier := 'warm';
		bytes := used;
		scans := NULL;
		hit_ratio := NULL;
		reason := format('relations in use take %s, shared_buffers is %s', pg_size_pretty(used), pg_size_pretty(buffers));
		statement := format('ALTER SYSTEM SET shared_buffers = ''%sMB''', ceil(used * 1.1 / 1048576));
		RETURN NEXT;
	END IF;
END $$;
COMMENT ON FUNCTION vecrecall.tier_advice(name) IS
'tables with vectors and their hnsw indexes by use since statistics were reset: hot (in shared buffers), warm (in use, but read from outside) or cold (not in use), with the statement that would move each: a tablespace, a part to prewarm after a restart, half precision, shared_buffers; nothing is executed';
