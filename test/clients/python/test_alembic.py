"""Alembic: autogenerate from metadata, upgrade, no further differences."""
import importlib
import os
import sys
import tempfile
from pathlib import Path

import pgvector.sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from vrtest import done, equal, ok

url = ("postgresql+psycopg://app:app@127.0.0.1:" + os.environ["PGPORT"] + "/"
       + os.environ["PGDATABASE"])
MODEL = '''
from pgvector.sqlalchemy import BIT, HALFVEC, SPARSEVEC, VECTOR
from sqlalchemy import Column, Index, Integer, MetaData, Table

metadata = MetaData()
item = Table("item", metadata, Column("id", Integer, primary_key=True),
             Column("embedding", VECTOR(3)), Column("half", HALFVEC(4)),
             Column("sparse", SPARSEVEC(5)), Column("bits", BIT(6)))
Index("item_embedding", item.c.embedding, postgresql_using="hnsw",
      postgresql_with={"m": 16, "ef_construction": 64},
      postgresql_ops={"embedding": "vector_l2_ops"})
'''
ENV = '''
from alembic import context
from sqlalchemy import create_engine
import pgvector.sqlalchemy
import model

with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as c:
    c.dialect.ischema_names["vector"] = pgvector.sqlalchemy.VECTOR
    context.configure(connection=c, target_metadata=model.metadata)
    with context.begin_transaction():
        context.run_migrations()
'''
engine = create_engine(url)
with engine.begin() as conn:
    conn.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "model.py").write_text(MODEL)
    sys.path.insert(0, folder)
    config = Config()
    config.set_main_option("script_location", folder + "/migrations")
    config.set_main_option("sqlalchemy.url", url)
    config.print_stdout = lambda *a, **k: None
    os.makedirs(folder + "/migrations/versions")
    Path(folder, "migrations/env.py").write_text(ENV)
    Path(folder, "migrations/script.py.mako").write_text(
        '"""${message}"""\nfrom alembic import op\nimport sqlalchemy as sa\n'
        'import pgvector.sqlalchemy\n'
        'revision = ${repr(up_revision)}\ndown_revision = ${repr(down_revision)}\n'
        'def upgrade():\n    ${upgrades if upgrades else "pass"}\n'
        'def downgrade():\n    ${downgrades if downgrades else "pass"}\n')
    command.revision(config, "first", autogenerate=True)
    script = next(Path(folder, "migrations/versions").glob("*.py")).read_text()
    ok("VECTOR(dim=3)" in script and "postgresql_using='hnsw'" in script,
       "autogenerate writes types and index", script)
    command.upgrade(config, "head")
    with engine.connect() as conn:
        equal(conn.execute(text(
            "SELECT pg_get_indexdef('item_embedding'::regclass)")).scalar(),
            "CREATE INDEX item_embedding ON public.item USING hnsw (embedding "
            "vector_l2_ops) WITH (m='16', ef_construction='64')", "upgrade")
        import model
        equal(compare_metadata(MigrationContext.configure(conn), model.metadata),
              [], "no differences after it")
    # The model grows a column and an index; that, and no more, is the next one.
    Path(folder, "model.py").write_text(MODEL + '''
item.append_column(Column("second", HALFVEC(7)))
Index("item_second", item.c.second, postgresql_using="hnsw",
      postgresql_ops={"second": "halfvec_cosine_ops"})
''')
    importlib.reload(model)
    command.revision(config, "second", autogenerate=True)
    scripts = Path(folder, "migrations/versions").glob("*_second.py")
    script = next(scripts).read_text()
    ok(script.count("op.add_column") == script.count("op.create_index") == 1
       and "HALFVEC(dim=7)" in script and "create_table" not in script
       and "item_embedding" not in script, "autogenerate sees the difference",
       script)
    command.upgrade(config, "head")
    with engine.connect() as conn:
        equal(conn.execute(text(
            "SELECT pg_get_indexdef('item_second'::regclass)")).scalar(),
            "CREATE INDEX item_second ON public.item USING hnsw (second "
            "halfvec_cosine_ops)", "the second upgrade")
        equal(compare_metadata(MigrationContext.configure(conn), model.metadata),
              [], "no differences after the second")
    command.downgrade(config, "base")
    with engine.connect() as conn:
        equal(conn.execute(text("SELECT to_regclass('item')")).scalar(), None,
              "downgrade")
done()
