"""Runs the migrations of this chain on the connection that `capstan.db.migrate` opened."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    version_table=context.config.attributes["version_table"],
    transaction_per_migration=False,
    render_as_batch=False,
)
context.run_migrations()
