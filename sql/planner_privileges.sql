-- Who may do what
SET vecrecall.audit = changes;
SELECT vecrecall.planner_reset(NULL, NULL) IS NOT NULL AS reset;
CREATE ROLE regress_planner_user;
CREATE ROLE regress_planner_writer IN ROLE vecrecall_planner;
SET ROLE regress_planner_user;
-- Everybody plans, from what others have recorded
SELECT batch_size FROM vecrecall.plan_batch(10, 384, resources => '{"available_memory_mb": 64, "cpu_cores": 1}');
SELECT count(*) FROM vecrecall.plan_dimension(10, 384, 768);
SELECT count(*) FROM vecrecall.plan_layout(384, 10);
SELECT vecrecall.batch_record('insert', 'p', 384, 10, 1, 10, 5, true);
SELECT vecrecall.planner_train();
SELECT vecrecall.planner_reset(NULL, NULL);
SELECT * FROM vecrecall.planner_evaluate();
SELECT * FROM vecrecall.planner_models;
SELECT * FROM vecrecall.planner_stats;
SELECT * FROM vecrecall.batch_progress;
SELECT * FROM vecrecall.batch_history;
SELECT * FROM vecrecall.planner_state;
SELECT * FROM vecrecall.audit_log;
CALL vecrecall.run_batches('insert', 'p', 'SELECT 1 AS a', 'SELECT $1');
SET vecrecall.audit = off;
SET vecrecall.planner_history_limit = 1;
RESET ROLE;
SET ROLE regress_planner_writer;
SELECT vecrecall.batch_record('insert', 'p', 384, 10, 1, 10, 5, true) > 0 AS recorded;
SELECT target, observations FROM vecrecall.planner_models;
SELECT vecrecall.planner_train();
CALL vecrecall.run_batches('insert', 'p', 'SELECT 1 AS a', 'SELECT $1');
SELECT job, role FROM vecrecall.batch_progress;
-- But only by the functions
INSERT INTO vecrecall.batch_job (job, op, target, item_query, statement, role) VALUES ('x', 'a', 'b', 'c', 'd', 'e');
DELETE FROM vecrecall.batch_history;
UPDATE vecrecall.planner_state SET model = NULL;
SELECT * FROM vecrecall.audit_log;
-- A job runs as its caller
CALL vecrecall.run_batches('insert', 'q', 'SELECT id FROM vecrecall.audit_log', 'SELECT $1');
SELECT vecrecall.planner_reset('insert', 'p');
RESET ROLE;
SELECT role, action FROM vecrecall.audit_log WHERE action IN ('train', 'reset') ORDER BY id DESC LIMIT 2;
DELETE FROM vecrecall.batch_job;
DROP ROLE regress_planner_user, regress_planner_writer;
-- Operators of the user are not used
CREATE SCHEMA planner_evil;
CREATE FUNCTION planner_evil.eq(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT 1 / 0 = 1';
CREATE OPERATOR planner_evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = planner_evil.eq);
SET search_path = planner_evil, pg_catalog, public;
SELECT vecrecall.batch_record('insert', 'e', 384, 10, 1, 10, 5, true) > 0 AS recorded;
SELECT source FROM vecrecall.plan_batch(10, 384, target => 'e');
RESET search_path;
DROP SCHEMA planner_evil CASCADE;
SELECT vecrecall.planner_reset(NULL, NULL);
