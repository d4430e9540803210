CREATE SCHEMA vecrecall;
COMMENT ON SCHEMA vecrecall IS 'vecrecall: everything beyond the vector types and their index';
GRANT USAGE ON SCHEMA vecrecall TO PUBLIC;

