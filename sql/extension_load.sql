-- The library loads, and what was created belongs to the extension.
SELECT extname, extversion FROM pg_extension WHERE extname = 'vecrecall';
LOAD 'vecrecall';
SELECT nspname FROM pg_namespace WHERE nspname = 'vecrecall';
