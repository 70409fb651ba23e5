//! Adds jobs to an outbox in the transaction of their cause, in PostgreSQL.

use std::fmt;

use drumline::Job;
use drumline_store::StoreError;
use drumline_store::outbox::postgres::add_in;
use drumline_store::postgres::sqlx::PgConnection;
use serde::Serialize;

use super::new_job::job;
use crate::error::ProduceError;
use crate::send_job::SendJob;

/// Adds a job to the outbox in a PostgreSQL transaction: it is sent if and only if the transaction is committed. Returns the
/// job's id.
///
/// Use [`job`] for options. Inside a handler, the job inherits the correlation id and the trace of the handler's job.
///
/// ```no_run
/// # use drumline::Job;
/// use drumline_producer::outbox;
/// use drumline_store::postgres::sqlx::{self, PgPool};
///
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Ship { order: i64 }
/// # impl Job for Ship {
/// #     const TYPE: &'static str = "order.ship";
/// # }
/// # async fn example(pool: PgPool, order: i64) -> Result<(), Box<dyn std::error::Error>> {
/// let mut tx = pool.begin().await?;
/// sqlx::query("UPDATE orders SET paid = now() WHERE id = $1").bind(order).execute(&mut *tx).await?;
/// outbox::enqueue(&mut tx, &Ship { order }).await?;
/// // With options:
/// outbox::job(&Ship { order }).group(format!("order:{order}")).enqueue(&mut tx).await?;
/// tx.commit().await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Returns an error with the invalid field if the job could not be sent, or an error of PostgreSQL. The transaction should then
/// be rolled back.
pub async fn enqueue<J: Job + Serialize>(tx: &mut PgConnection, job: &J) -> Result<String, EnqueueError> {
    self::job(job).enqueue(tx).await
}

impl SendJob {
    /// Adds the job to the outbox in a PostgreSQL transaction: it is sent if and only if the transaction is committed. Returns
    /// the job's id. See [`outbox::enqueue`](enqueue).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`to_outbox_job`](Self::to_outbox_job), or an error of PostgreSQL.
    pub async fn enqueue(self, tx: &mut PgConnection) -> Result<String, EnqueueError> {
        let job = self.to_outbox_job().map_err(EnqueueError::Refused)?;
        add_in(tx, std::slice::from_ref(&job)).await.map_err(EnqueueError::Store)?;
        Ok(job.id)
    }
}

/// The reason why a job was not added to an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnqueueError {
    /// The job could not be sent. The same job would be refused again.
    Refused(ProduceError),
    /// PostgreSQL has not stored it.
    Store(StoreError),
}

impl fmt::Display for EnqueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Store(error) => write!(f, "the job was not added to the outbox: {error}"),
        }
    }
}

impl std::error::Error for EnqueueError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Store(error) => Some(error),
        }
    }
}
