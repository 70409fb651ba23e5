//! Writes the conclusions of taken jobs.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Error, Row};

use super::super::{Conclusion, TakenJob};
use super::taken_row::bucket_and_turn;
use crate::store::millis;

/// Writes conclusions of jobs if the bucket is still leased under the token under which they were taken, and they have not been
/// taken again. Returns the ids of jobs whose row or bucket another transaction has locked, and the number of jobs that no
/// longer belong to the relay. It waits for no lock. It locks the buckets, so that none gets another owner before the
/// conclusions are written.
const CONCLUDE: &str = "WITH jobs AS MATERIALIZED (
        SELECT * FROM unnest($1::text[], $2::integer[], $3::integer[], $4::bigint[], $5::text[], $6::text[], $7::bigint[],
            $8::boolean[]) AS job (id, bucket, turn, token, conclusion, words, after, is_failure)
    ), leased AS MATERIALIZED (
        SELECT bucket, token FROM drumline_outbox_buckets WHERE bucket = ANY($2) FOR SHARE SKIP LOCKED
    ), ours AS MATERIALIZED (
        SELECT jobs.* FROM jobs
        JOIN leased ON leased.bucket = jobs.bucket AND leased.token = jobs.token
        JOIN drumline_outbox AS o ON o.id = jobs.id AND o.turn = jobs.turn AND o.state = 'waiting'
        FOR UPDATE OF o SKIP LOCKED
    ), removed AS (
        DELETE FROM drumline_outbox AS o USING ours
        WHERE ours.conclusion = 'sent' AND o.id = ours.id AND $9 = 0 AND (o.unique_until IS NULL OR o.unique_until <= now())
        RETURNING 1
    ), kept AS (
        UPDATE drumline_outbox AS o SET state = 'sent', sent = now(), message_id = ours.words, reason = NULL, taken = NULL, due_since = NULL,
            expires = greatest(now() + $9 * interval '1 millisecond', o.unique_until),
            unique_key = CASE WHEN o.unique_until > now() THEN o.unique_key END
        FROM ours
        WHERE ours.conclusion = 'sent' AND o.id = ours.id AND ($9 > 0 OR o.unique_until > now())
        RETURNING 1
    ), put_back AS (
        UPDATE drumline_outbox AS o SET taken = NULL, turn = o.turn + 1, failures = o.failures + ours.is_failure::integer,
            reason = coalesce(ours.words, o.reason), due = now() + ours.after * interval '1 millisecond',
            due_since = coalesce(o.due_since, CASE WHEN o.due = '-infinity' THEN o.added ELSE o.due END)
        FROM ours
        WHERE ours.conclusion = 'later' AND o.id = ours.id
        RETURNING 1
    ), given_back AS (
        UPDATE drumline_outbox AS o SET taken = NULL, turn = o.turn + 1 FROM ours
        WHERE ours.conclusion = 'given back' AND o.id = ours.id
        RETURNING 1
    ), parked AS (
        UPDATE drumline_outbox AS o SET state = 'parked', reason = ours.words, taken = NULL, due_since = NULL FROM ours
        WHERE ours.conclusion = 'parked' AND o.id = ours.id
        RETURNING 1
    ), locked AS MATERIALIZED (
        SELECT jobs.id FROM jobs
        JOIN drumline_outbox_buckets AS leased ON leased.bucket = jobs.bucket AND leased.token = jobs.token
        JOIN drumline_outbox AS o ON o.id = jobs.id AND o.turn = jobs.turn AND o.state = 'waiting'
        WHERE jobs.id NOT IN (SELECT id FROM ours)
    )
    SELECT ARRAY(SELECT id FROM locked) AS locked,
        cardinality($1::text[]) - (SELECT count(*) FROM locked) - (SELECT count(*) FROM removed) - (SELECT count(*) FROM kept)
            - (SELECT count(*) FROM put_back) - (SELECT count(*) FROM given_back) - (SELECT count(*) FROM parked) AS lost";

/// Removes sent jobs under the same conditions. Returns the ids of the removed jobs if these are not all: [`CONCLUDE`] handles
/// the others. This is the usual call, and costs a third: each row is looked up once, because its bucket cannot move while it
/// is locked here.
const REMOVE: &str = "WITH leased AS MATERIALIZED (
        SELECT bucket, token FROM drumline_outbox_buckets WHERE bucket = ANY($2) FOR SHARE SKIP LOCKED
    ), ours AS MATERIALIZED (
        SELECT o.ctid FROM unnest($1::text[], $2::integer[], $3::integer[], $4::bigint[]) AS job (id, bucket, turn, token)
        JOIN leased ON leased.bucket = job.bucket AND leased.token = job.token
        JOIN drumline_outbox AS o ON o.id = job.id AND o.turn = job.turn AND o.state = 'waiting'
        FOR UPDATE OF o SKIP LOCKED
    ), removed AS (
        DELETE FROM drumline_outbox AS o
        WHERE o.ctid = ANY(ARRAY(SELECT ctid FROM ours)) AND (o.unique_until IS NULL OR o.unique_until <= now())
        RETURNING o.id
    )
    SELECT CASE WHEN count(*) < cardinality($1) THEN coalesce(array_agg(id), '{}') END AS removed FROM removed";

/// The conclusions that were not written.
#[derive(Default)]
pub(super) struct Unwritten {
    /// The number of jobs that no longer belong to the relay.
    pub(super) lost: usize,
    /// The ids of jobs whose rows are locked and must be tried again.
    pub(super) locked: HashSet<String>,
}

/// Taken jobs and their conclusions, by column.
#[derive(Default)]
pub(super) struct Concluded<'a> {
    ids: Vec<&'a str>,
    buckets: Vec<i32>,
    turns: Vec<i32>,
    tokens: Vec<i64>,
    conclusions: Vec<&'static str>,
    /// A message id or a reason.
    words: Vec<Option<&'a str>>,
    afters: Vec<i64>,
    are_failures: Vec<bool>,
}

impl<'a> Concluded<'a> {
    pub(super) fn of(concluded: impl IntoIterator<Item = &'a (TakenJob, Conclusion)>) -> Self {
        let mut parts = Self::default();
        for (job, conclusion) in concluded {
            let (name, words, after, is_failure) = match conclusion {
                Conclusion::Sent { message_id } => ("sent", Some(message_id.as_str()), Duration::ZERO, false),
                // The job is treated as if it had not been taken.
                Conclusion::Later { after, is_failure: false, .. } if after.is_zero() => {
                    ("given back", None, *after, false)
                }
                Conclusion::Later { after, is_failure, reason } => {
                    ("later", reason.as_deref(), *after, *is_failure)
                }
                Conclusion::Parked { reason } => ("parked", Some(reason.as_str()), Duration::ZERO, false),
            };
            let (bucket, turn) = bucket_and_turn(&job.lease.name);
            parts.ids.push(&job.job.id);
            parts.buckets.push(bucket);
            parts.turns.push(turn);
            parts.tokens.push(job.lease.fencing_token);
            parts.conclusions.push(name);
            parts.words.push(words);
            parts.afters.push(millis(after));
            parts.are_failures.push(is_failure);
        }
        parts
    }
}

pub(super) async fn conclude(
    connection: &mut PgConnection,
    parts: &Concluded<'_>,
    keep_sent: Duration,
) -> Result<Unwritten, Error> {
    let call = sqlx::query(CONCLUDE)
        .bind(&parts.ids)
        .bind(&parts.buckets)
        .bind(&parts.turns)
        .bind(&parts.tokens)
        .bind(&parts.conclusions)
        .bind(&parts.words)
        .bind(&parts.afters)
        .bind(&parts.are_failures)
        .bind(millis(keep_sent));
    let row = call.fetch_one(connection).await?;
    let lost: i64 = row.try_get("lost")?;
    let locked: Vec<String> = row.try_get("locked")?;
    Ok(Unwritten { lost: usize::try_from(lost).unwrap_or_default(), locked: locked.into_iter().collect() })
}

/// Removes sent jobs. Returns the ids of the removed jobs; `None` if all were removed.
pub(super) async fn remove(
    connection: &mut PgConnection,
    parts: &Concluded<'_>,
) -> Result<Option<HashSet<String>>, Error> {
    let call =
        sqlx::query(REMOVE).bind(&parts.ids).bind(&parts.buckets).bind(&parts.turns).bind(&parts.tokens);
    let removed: Option<Vec<String>> = call.fetch_one(connection).await?.try_get("removed")?;
    Ok(removed.map(|ids| ids.into_iter().collect()))
}
