//! `drumline outbox migrate`: creates the table of an outbox in PostgreSQL.

use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::{Environment, SecretUrl};

use crate::format::note;
use crate::opened_outbox::{OutboxSettings, WHICH_OUTBOX, url};
use crate::settings_args::SettingsArgs;

/// Creates the table of an outbox in PostgreSQL, or prints the SQL for it
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} outbox migrate --outbox-url postgres://admin@db/orders
  {{program}} outbox migrate --print | psql --single-transaction postgres://admin@db/orders
  {{program}} outbox migrate --print > db/migrate/20261129_outbox.sql

The command creates everything that is missing, even if an earlier version of {{program}} created the table. You can run it again at any \
time. Relays and workers create the table when they start, if their database role has the permission. If it does not, run this command, or \
print the SQL and add it to the migrations of your application. The application needs INSERT on the table. A relay needs SELECT, INSERT, \
UPDATE and DELETE on all tables of the outbox.

{WHICH_OUTBOX}

Exit status: 0 created, or printed, 64 bad usage, 69 the database does not answer, or refuses the change."))]
pub(super) struct MigrateArgs {
    /// Print the SQL to standard output, and change nothing
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    settings: SettingsArgs<OutboxSettings>,
}

pub(super) async fn migrate(args: &MigrateArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    if args.print {
        print_sql()?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = args.settings.read_for_tool(environment)?;
    let url = url(&settings)?;
    if !matches!(url.expose().scheme(), "postgres" | "postgresql") {
        note(&format!("the outbox {url} needs no table"));
        return Ok(ExitCode::SUCCESS);
    }
    apply(url).await?;
    note(&format!("the outbox {url} has its table"));
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "postgres")]
fn print_sql() -> Result<(), ExitError> {
    use std::io::Write as _;

    crate::output::print(|out| writeln!(out, "{}", drumline_store::outbox::postgres::MIGRATION.trim_end()))
}

#[cfg(feature = "postgres")]
async fn apply(url: &SecretUrl) -> Result<(), ExitError> {
    use drumline_store::outbox::postgres::PostgresOutbox;

    let migrated = PostgresOutbox::migrate(url.expose()).await;
    migrated.map_err(|error| crate::opened_outbox::cannot_be_opened(url, &error))
}

#[cfg(not(feature = "postgres"))]
fn print_sql() -> Result<(), ExitError> {
    Err(no_postgres())
}

#[cfg(not(feature = "postgres"))]
async fn apply(_: &SecretUrl) -> Result<(), ExitError> {
    Err(no_postgres())
}

#[cfg(not(feature = "postgres"))]
fn no_postgres() -> ExitError {
    ExitError::usage("this build has no PostgreSQL: compile with the feature `postgres`")
}
