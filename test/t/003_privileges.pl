# What makes the extension fit to be trusted: a user who owns a database, and
# nothing else, installs, uses and drops it, and gains no power by it.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $node = new_node('privileges', extension => undef);
$node->safe_psql('postgres', <<'END');
CREATE ROLE owner LOGIN;
CREATE ROLE guest LOGIN;
CREATE DATABASE theirs OWNER owner;
CREATE DATABASE trap OWNER owner;
END

sub as
{
	my ($role, $sql, $database) = @_;
	return $node->psql($database // 'theirs', $sql,
		extra_params => [ '-U', $role ], on_error_stop => 1);
}

for my $extension ('vecrecall', has_alias() ? 'vector' : ())
{
	my ($rc, $out, $err) = as('guest', "CREATE EXTENSION $extension");
	like($err, qr/permission denied/, "a guest may not install $extension");
	($rc, $out, $err) = as('owner', "CREATE EXTENSION $extension");
	is($rc . $err, '0', "the owner of a database installs $extension");
	($rc, $out, $err) = as('guest', "SELECT '[3,4]'::vector <-> '[0,0]'");
	is($out, '5', 'a guest uses it');
	($rc, $out, $err) = as('owner', <<'END');
CREATE OR REPLACE FUNCTION l2_distance(vector, vector) RETURNS float8
LANGUAGE sql AS 'SELECT 0.0::float8'
END
	like($err, qr/must be owner/, 'its owner cannot replace a function of it');
	($rc, $out, $err) = as('owner', "DROP EXTENSION $extension");
	is($rc . $err, '0', "and drops $extension");
}

# Objects that lie in wait under the names that the script uses are not used,
# whichever schema it is installed into.
is((as('owner', <<'END', 'trap'))[0], 0, 'a trap is set');
CREATE SCHEMA s;
CREATE FUNCTION s.sprung() RETURNS boolean LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION 'trap sprung by %', current_user; END $$;
CREATE FUNCTION s.eq(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT s.sprung()';
CREATE FUNCTION s.eq(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT s.sprung()';
CREATE FUNCTION s.eq(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT s.sprung()';
CREATE OPERATOR s.= (FUNCTION = s.eq, LEFTARG = name, RIGHTARG = name);
CREATE OPERATOR s.= (FUNCTION = s.eq, LEFTARG = name, RIGHTARG = text);
CREATE OPERATOR s.= (FUNCTION = s.eq, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION s.array_length(int[], int) RETURNS int LANGUAGE sql AS 'SELECT 1 FROM (SELECT s.sprung()) t';
CREATE FUNCTION s.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz FROM (SELECT s.sprung()) t';
END
my ($rc, $out, $err) = as('owner', 'CREATE EXTENSION vecrecall SCHEMA s', 'trap');
is($rc . $err, '0', 'the script does not step into it');
($rc, $out, $err) = as('owner', "SELECT vecrecall.build_info() IS NOT NULL", 'trap');
like($err . $out, qr/^(t|f)$/, 'nor do functions that run later');

# A schema of the user's own is not taken over.
($rc, $out, $err) = as('owner', 'CREATE SCHEMA vecrecall; CREATE EXTENSION vecrecall');
like($err, qr/schema "vecrecall" already exists/,
	'an existing schema vecrecall is not taken over');

# No member of the extension is the owner's or the guest's to alter.
is($node->safe_psql('trap', <<'END'), '0', 'all functions are the superuser\'s');
SELECT count(*) FROM pg_proc p
JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND extname = 'vecrecall'
WHERE NOT (SELECT rolsuper FROM pg_roles r WHERE r.oid = proowner)
END

done_testing();
