//! The functions of version 0.1, and its statements.

use drumline_store::postgres::sqlx::postgres::PgConnection;
use drumline_store::postgres::sqlx::{self, Connection, Row};

use super::{Answer, Job, OWNER, millis, payload};

pub struct Worker {
    connection: PgConnection,
}

impl Worker {
    pub async fn start(at: &str) -> Self {
        Self { connection: PgConnection::connect(at).await.unwrap() }
    }

    pub async fn claim(&mut self, job: &Job) -> Answer {
        let row =
            sqlx::query("SELECT * FROM drumline_claim_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
                .bind(&job.key)
                .bind(payload(job))
                .bind(job.lock.as_deref())
                .bind(millis(job.length))
                .bind(millis(job.history))
                .bind(OWNER)
                .bind(&job.job_id)
                .bind(&job.job_type)
                .bind(&job.queue)
                .bind(&job.message_id)
                .bind(fastrand::i64(..))
                .fetch_one(&mut self.connection)
                .await
                .unwrap();
        let (fencing_token, attempt) = (row.get::<i64, _>("number"), row.get::<i32, _>("attempt"));
        (row.get("answer"), u64::try_from(fencing_token).unwrap(), u32::try_from(attempt).unwrap())
    }

    pub async fn checkpoint(&mut self, job: &Job, fencing_token: u64, value: &str) -> bool {
        let call = sqlx::query(
            "UPDATE drumline_claims SET checkpoint = $4
            WHERE key = $1 AND owner = $2 AND counter = $3 AND state = 'running' AND expires > clock_timestamp()",
        );
        let call = call.bind(&job.key).bind(OWNER).bind(fencing_token.cast_signed()).bind(value);
        call.execute(&mut self.connection).await.unwrap().rows_affected() == 1
    }

    pub async fn finish(&mut self, job: &Job, fencing_token: u64, result: &str) -> bool {
        let call = sqlx::query("SELECT drumline_finish_v1($1, $2, $3, NULL, 0, $4, $5, $5)");
        let call = call.bind(&job.key).bind(OWNER).bind(fencing_token.cast_signed()).bind(result);
        call.bind(millis(job.history)).fetch_one(&mut self.connection).await.unwrap().get(0)
    }

    pub async fn release_claim(
        &mut self,
        job: &Job,
        fencing_token: u64,
        failure_reason: Option<&str>,
    ) -> bool {
        let call = sqlx::query("SELECT drumline_surrender_v1($1, $2, $3, NULL, 0, 0, $4, $5)");
        let call = call.bind(&job.key).bind(OWNER).bind(fencing_token.cast_signed()).bind(failure_reason);
        call.bind(millis(job.history)).fetch_one(&mut self.connection).await.unwrap().get(0)
    }

    pub async fn attempted(&mut self, job: &Job, attempt: &str) {
        let call = sqlx::query(
            "INSERT INTO drumline_attempts (job_id, attempt, expires) VALUES ($1, $2, drumline_after_v1($3))",
        );
        let call = call.bind(&job.job_id).bind(attempt).bind(millis(job.history));
        call.execute(&mut self.connection).await.unwrap();
    }

    pub async fn progress(&mut self, job: &Job, progress: &str) {
        let call = sqlx::query(
            "INSERT INTO drumline_jobs (job_id, progress, expires) VALUES ($1, $2, drumline_after_v1($3))
            ON CONFLICT (job_id) DO UPDATE SET progress = excluded.progress, expires = excluded.expires",
        );
        let call = call.bind(&job.job_id).bind(progress).bind(millis(job.history));
        call.execute(&mut self.connection).await.unwrap();
    }
}
