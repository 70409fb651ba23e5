//! The scripts of version 0.1.

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncCommands, Client, Script};

use super::{Answer, Job, OWNER, millis, payload};

pub struct Worker {
    connection: MultiplexedConnection,
}

fn key(kind: &str, name: &str) -> String {
    format!("{{drumline-test}}:{kind}:{name}")
}

impl Worker {
    pub async fn start(at: &str) -> Self {
        let client = Client::open(at).unwrap();
        Self { connection: client.get_multiplexed_async_connection().await.unwrap() }
    }

    pub async fn claim(&mut self, job: &Job) -> Answer {
        let script = Script::new(include_str!("claim.lua"));
        let mut call = script.key(key("claim", &job.key));
        if let Some(lock) = &job.lock {
            call.key(key("lock", lock));
        }
        let has_alias = job.key != job.job_id;
        if has_alias {
            call.key(key("alias", &job.job_id));
        }
        call.arg(OWNER).arg(payload(job)).arg(millis(job.length));
        call.arg(millis(job.history)).arg(millis(job.history));
        call.arg(&job.key).arg(&job.job_id).arg(&job.job_type).arg(&job.queue).arg(&job.message_id);
        call.arg(fastrand::u64(..)).arg(u8::from(job.lock.is_some())).arg(u8::from(has_alias));
        let (word, fencing_token, attempt, _, _): (String, u64, u32, Option<String>, u64) =
            call.invoke_async(&mut self.connection).await.unwrap();
        (word, fencing_token, attempt)
    }

    async fn run(&mut self, script: &str, job: &Job, args: &[String]) -> bool {
        let script = Script::new(script);
        let mut call = script.key(key("claim", &job.key));
        for arg in args {
            call.arg(arg);
        }
        call.invoke_async(&mut self.connection).await.unwrap()
    }

    pub async fn checkpoint(&mut self, job: &Job, fencing_token: u64, value: &str) -> bool {
        let args = [OWNER.to_owned(), fencing_token.to_string(), value.to_owned()];
        self.run(include_str!("checkpoint.lua"), job, &args).await
    }

    pub async fn finish(&mut self, job: &Job, fencing_token: u64, result: &str) -> bool {
        let keep = millis(job.history).to_string();
        let args = [
            OWNER.to_owned(),
            fencing_token.to_string(),
            "0".to_owned(),
            keep.clone(),
            keep,
            result.to_owned(),
        ];
        self.run(include_str!("finish.lua"), job, &args).await
    }

    pub async fn release_claim(
        &mut self,
        job: &Job,
        fencing_token: u64,
        failure_reason: Option<&str>,
    ) -> bool {
        let keep = millis(job.history).to_string();
        let mut args =
            vec![OWNER.to_owned(), fencing_token.to_string(), "0".to_owned(), keep, "0".to_owned()];
        args.extend(failure_reason.map(str::to_owned));
        self.run(include_str!("surrender.lua"), job, &args).await
    }

    pub async fn attempted(&mut self, job: &Job, attempt: &str) {
        let key = key("attempts", &job.job_id);
        let () = self.connection.rpush(&key, attempt).await.unwrap();
        let () = self.connection.pexpire(&key, millis(job.history)).await.unwrap();
    }

    pub async fn progress(&mut self, job: &Job, progress: &str) {
        let keep = u64::try_from(millis(job.history)).unwrap();
        let () = self.connection.pset_ex(key("progress", &job.job_id), progress, keep).await.unwrap();
    }
}
