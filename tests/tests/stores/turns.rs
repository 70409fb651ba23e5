//! Jobs that name the same lock take turns, in all processes.

use drumline_tests::{Answer, App, Setup, TestQueue, eventually, shared_store};
use serde_json::json;

use crate::{POSTGRES, REDIS, job, sharing, unique};

#[tokio::test]
async fn charges_of_one_customer_do_not_run_together() {
    for variable in [REDIS, POSTGRES] {
        let Some(store) = shared_store(variable) else { continue };
        let setup = Setup { visibility_secs: 3, max_receive_count: Some(100), ..Setup::default() };
        let queue = TestQueue::create("turns", setup).await;
        let provider = App::start(|_| async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            Answer::ok().body(r#"{"id":"ch_1","status":"succeeded"}"#)
        })
        .await;
        let launch = || {
            sharing(&queue, &store)
                .env("DRUMLINE_BILLING_URL", &provider.root())
                .env("DRUMLINE_RETRY", "exponential(1s,2,1s)")
                .env("DRUMLINE_MAX_ATTEMPTS", "1")
        };
        let workers = [launch().spawn(), launch().spawn()];
        let customer = unique("c");
        for _ in 0..5 {
            let charge = unique("inv");
            let payload =
                json!({ "chargeId": charge, "customerId": customer, "amount": 1, "currency": "EUR" });
            queue.send(&job("billing.charge", &charge, &payload)).await;
        }
        eventually("all are charged", async || provider.count() == 5 && queue.is_empty().await).await;
        let calls = provider.calls();
        for (earlier, later) in calls.iter().zip(&calls[1..]) {
            assert!(earlier.ended.unwrap().0 <= later.begun, "one after the other");
        }
        assert_eq!(queue.dead_count().await, 0, "to wait for a turn is no attempt");
        for worker in workers {
            worker.stop().await;
        }
    }
}
