"""Alembic's entry: runs the migrations on the connection that `stores/migrate.py` hands over."""

from alembic import context

from shopkeeper.stores.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,  # SQLite can, now that transactions begin explicitly: a killed upgrade leaves no trace
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
