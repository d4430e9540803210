"""PgBouncer, transaction mode: statements of a session go to several servers.

PgBouncer before 1.21 (Debian 12 has 1.18) knows nothing of the protocol's named
statements, so clients use unnamed ones there; a statement that is prepared and
executed within a transaction works with every version.
"""
import asyncio
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import asyncpg
import numpy as np
import psycopg
from pgvector.asyncpg import register_vector as register_asyncpg
from pgvector.psycopg import register_vector

from vrtest import done, equal, ok, plain

program = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")
if program is None:
    ok(False, "pgbouncer is installed")
    done()
with psycopg.connect(autocommit=True) as conn:
    conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
    conn.execute("CREATE TABLE item (id int PRIMARY KEY, v vector(8))")
    register_vector(conn)
    data = np.random.default_rng(3).standard_normal((2000, 8)).astype(np.float32)
    with conn.cursor().copy("COPY item FROM STDIN WITH (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "vector"])
        for i, v in enumerate(data):
            copy.write_row([i, v])
    conn.execute("CREATE INDEX ON item USING hnsw (v vector_l2_ops)")

port = str(int(os.environ["PGPORT"]) + 1000)
folder = Path(tempfile.mkdtemp(prefix="pgb.", dir="/tmp"))
(folder / "users").write_text('"app" "app"\n')
(folder / "ini").write_text(f"""[databases]
* = host=127.0.0.1 port={os.environ["PGPORT"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 3
max_client_conn = 50
logfile = {folder}/log
pidfile = {folder}/pid
""")
command = [program, str(folder / "ini")]
if os.geteuid() == 0:
    subprocess.run(["chown", "-R", "nobody", str(folder)], check=True)
    command[1:1] = ["-u", "nobody"]
bouncer = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
dsn = (f"host=127.0.0.1 port={port} user=app dbname={os.environ['PGDATABASE']}"
       " sslmode=disable")
try:
    for attempt in range(50):
        try:
            psycopg.connect(dsn).close()
            break
        except psycopg.OperationalError:
            time.sleep(0.1)

    # psycopg: six threads on three servers, text and binary.
    wrong = []

    def work(thread):
        with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as c:
            register_vector(c)
            for j in range(40):
                n = (thread * 331 + j * 17) % 2000
                for form in "s", "b":
                    got = c.execute("SELECT id, v FROM item ORDER BY v <-> "
                                    f"%{form} LIMIT 1", (data[n],),
                                    binary=form == "b").fetchone()
                    if got[0] != n or plain(got[1]) != data[n].tolist():
                        wrong.append((thread, n, got))
    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal(wrong, [], "psycopg, six clients on three servers")

    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as c:
        register_vector(c)
        with c.transaction():
            c.execute("PREPARE nearest (vector) AS "
                      "SELECT id FROM item ORDER BY v <-> $1 LIMIT 1")
            equal([c.execute("EXECUTE nearest (%s)" % repr(str(data[n].tolist())))
                   .fetchone()[0] for n in (5, 6, 7)] * 3, [5, 6, 7] * 3,
                  "PREPARE and EXECUTE within a transaction")
            c.execute("DEALLOCATE nearest")
        for ef in 10, 200:
            with c.transaction():
                c.execute("SET LOCAL enable_seqscan = off")
                c.execute(f"SET LOCAL hnsw.ef_search = {ef}")
                equal(len(c.execute("SELECT id FROM item ORDER BY v <-> %s "
                                    "LIMIT 500", (data[0],)).fetchall()), ef,
                      f"SET LOCAL hnsw.ef_search = {ef}")
        rows = {c.execute("SHOW hnsw.ef_search").fetchone()[0] for _ in range(9)}
        equal(rows, {"40"}, "no setting is left behind")

    # psycopg with named statements, one session: the server stays the same
    # within a transaction.
    with psycopg.connect(dsn) as c:
        register_vector(c)
        c.prepare_threshold = 0
        equal([c.execute("SELECT id FROM item ORDER BY v <-> %b LIMIT 1",
                         (data[n],)).fetchone()[0] for n in range(20)],
              list(range(20)), "named statements within a transaction")

    async def main():
        async def work(i):
            c = await asyncpg.connect(
                host="127.0.0.1", port=int(port), user="app", ssl=False,
                database=os.environ["PGDATABASE"], statement_cache_size=0)
            await register_asyncpg(c)
            for j in range(20):
                n = (i * 77 + j) % 2000
                async with c.transaction():
                    if await c.fetchval("SELECT id FROM item ORDER BY v <-> $1 "
                                        "LIMIT 1", data[n]) != n:
                        return False
            await c.close()
            return True
        equal(await asyncio.gather(*(work(i) for i in range(6))), [True] * 6,
              "asyncpg, without its statement cache")
    asyncio.run(main())
finally:
    bouncer.terminate()
    bouncer.wait(10)
    shutil.rmtree(folder, ignore_errors=True)
done()
