#!/bin/sh
# Brings Temporal's two databases to the schema of this version; running it again changes nothing.
# Runs in temporalio/admin-tools. Needs POSTGRES_SEEDS, DB_PORT, POSTGRES_USER, SQL_PASSWORD: the
# password is read by the tool itself, so that no list of processes shows it.
set -eu

schema() {
  database=$1
  versions=/etc/temporal/schema/postgresql/v12/$2/versioned
  # A directory that is not there would be zero updates, and no error.
  [ -d "$versions" ]
  set -- temporal-sql-tool --plugin postgres12 --endpoint "$POSTGRES_SEEDS" --port "$DB_PORT" \
    --user "$POSTGRES_USER" --database "$database"
  "$@" create-database
  "$@" setup-schema --version 0.0
  "$@" update-schema --schema-dir "$versions"
}

schema temporal temporal
schema temporal_visibility visibility
echo 'The schema is up to date.'
