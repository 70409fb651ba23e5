//! The items of version 0.1.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline_store::dynamodb::aws_sdk_dynamodb::Client;
use drumline_store::dynamodb::aws_sdk_dynamodb::types::AttributeValue;

use super::{Answer, Job, OWNER, payload};
use crate::dynamodb_only;
use crate::world::World;

pub struct Worker {
    client: Client,
    table: String,
}

fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: u128) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn expiration(keep: Duration) -> AttributeValue {
    number(u128::from((now() + keep).as_secs()))
}

impl Worker {
    pub async fn start(world: &World) -> Self {
        let client = Client::new(&dynamodb_only::config(world.at()).await);
        Self { client, table: world.table().to_owned() }
    }

    pub async fn claim(&mut self, job: &Job) -> Answer {
        let id = string(&format!("claim#{}", job.key));
        let get = self.client.get_item().table_name(&self.table).key("id", id.clone()).consistent_read(true);
        let before = get.send().await.unwrap().item;
        let known = |name: &str| before.as_ref().and_then(|item| item.get(name)?.as_n().ok()?.parse().ok());
        let is_status = |status: &str| before.as_ref().is_some_and(|item| item["status"] == string(status));
        if is_status("COMPLETED") {
            return ("done".to_owned(), 0, 0);
        }
        if known("in_progress_expiration").is_some_and(|until: u128| until > now().as_millis()) {
            return ("held".to_owned(), 0, 0);
        }
        let fencing_token = known("counter").unwrap_or(0) + 1;
        let same_message = before.as_ref().is_some_and(|item| item["message_id"] == string(&job.message_id));
        let attempt = if same_message { known("attempts").unwrap_or(0) + 1 } else { 1 };
        let put = self.client.put_item().table_name(&self.table).item("id", id);
        put.item("status", string("INPROGRESS"))
            .item("in_progress_expiration", number((now() + job.length).as_millis()))
            .item("expiration", expiration(job.length + job.history))
            .item("validation", string(&payload(job)))
            .item("owner", string(OWNER))
            .item("counter", number(fencing_token))
            .item("job_id", string(&job.job_id))
            .item("job_type", string(&job.job_type))
            .item("queue", string(&job.queue))
            .item("message_id", string(&job.message_id))
            .item("attempts", number(attempt))
            .item("nonce", number(u128::from(fastrand::u64(..))))
            .item("lock_counter", number(0))
            .send()
            .await
            .unwrap();
        if job.key != job.job_id {
            let alias = self.client.put_item().table_name(&self.table);
            let alias =
                alias.item("id", string(&format!("alias#{}", job.job_id))).item("key", string(&job.key));
            alias.item("expiration", expiration(job.length + job.history)).send().await.unwrap();
        }
        ("granted".to_owned(), u64::try_from(fencing_token).unwrap(), u32::try_from(attempt).unwrap())
    }

    async fn change(&mut self, job: &Job, fencing_token: u64, changes: &[(&str, AttributeValue)]) -> bool {
        let update = self.client.update_item().table_name(&self.table);
        let mut update = update.key("id", string(&format!("claim#{}", job.key)));
        let sets: Vec<_> = (0..changes.len()).map(|index| format!("#n{index} = :v{index}")).collect();
        for (index, (name, value)) in changes.iter().enumerate() {
            update = update.expression_attribute_names(format!("#n{index}"), *name);
            update = update.expression_attribute_values(format!(":v{index}"), value.clone());
        }
        update
            .update_expression(format!("SET {}", sets.join(", ")))
            .condition_expression("#counter = :counter")
            .expression_attribute_names("#counter", "counter")
            .expression_attribute_values(":counter", number(u128::from(fencing_token)))
            .send()
            .await
            .is_ok()
    }

    pub async fn checkpoint(&mut self, job: &Job, fencing_token: u64, value: &str) -> bool {
        self.change(job, fencing_token, &[("checkpoint", string(value))]).await
    }

    pub async fn finish(&mut self, job: &Job, fencing_token: u64, result: &str) -> bool {
        let expiration = expiration(job.history);
        let done = [("status", string("COMPLETED")), ("data", string(result)), ("expiration", expiration)];
        self.change(job, fencing_token, &done).await
    }

    pub async fn release_claim(
        &mut self,
        job: &Job,
        fencing_token: u64,
        failure_reason: Option<&str>,
    ) -> bool {
        let mut changes =
            vec![("in_progress_expiration", number(0)), ("expiration", expiration(job.history))];
        changes.extend(failure_reason.map(|failure_reason| ("verdict", string(failure_reason))));
        self.change(job, fencing_token, &changes).await
    }

    pub async fn attempted(&mut self, job: &Job, attempt: &str) {
        let update = self.client.update_item().table_name(&self.table);
        let update = update.key("id", string(&format!("attempts#{}", job.job_id)));
        update
            .update_expression(
                "SET attempts = list_append(if_not_exists(attempts, :none), :new), expiration = :until",
            )
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":new", AttributeValue::L(vec![string(attempt)]))
            .expression_attribute_values(":until", expiration(job.history))
            .send()
            .await
            .unwrap();
    }

    pub async fn progress(&mut self, job: &Job, progress: &str) {
        let put = self.client.put_item().table_name(&self.table);
        let put = put.item("id", string(&format!("progress#{}", job.job_id))).item("data", string(progress));
        put.item("expiration", expiration(job.history)).send().await.unwrap();
    }
}
