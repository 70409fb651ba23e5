//! Typed jobs and their handlers, in both hosts on a paused clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::message::Intake;
use drumline::run::NoopObserver;
use drumline::{Context, Failure, Job, Router};
use drumline_producer::{Prepared, Producer};
use drumline_tests::{ModelQueue, client};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::function::TestFunction;
use crate::producing::request;
use crate::running::{Consumer, in_memory};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(Serialize, Deserialize)]
struct Order {
    id: u64,
}

impl Job for Order {
    const TYPE: &'static str = "order.place";
    const VERSION: u32 = 2;
}

#[derive(Serialize, Deserialize)]
struct Invoice {
    order: u64,
}

impl Job for Invoice {
    const TYPE: &'static str = "invoice.send";

    fn idempotency_key(&self) -> Option<String> {
        Some(format!("invoice:{}", self.order))
    }
}

/// The jobs that a handler has seen.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    after: u64,
    job_type: String,
    job_id: String,
    key: String,
    group: Option<String>,
    correlation: String,
    trace: Option<String>,
    tenant: Option<String>,
}

#[derive(Clone)]
struct Shop {
    producer: Producer,
    queue: ModelQueue,
    seen: Arc<Mutex<Vec<Seen>>>,
    begun: Instant,
}

impl Shop {
    fn new(queue: &ModelQueue) -> Self {
        // Its jobs are prepared here, and reach the model without a network.
        let producer = Producer::new(client("http://127.0.0.1:9"), &queue.queue_url);
        Self { producer, queue: queue.clone(), seen: Arc::default(), begun: Instant::now() }
    }

    fn put(&self, prepared: &Prepared) {
        let outgoing = prepared.outgoing();
        self.queue.send_with(&outgoing.body, request(outgoing));
    }

    fn saw(&self, context: &Context) {
        self.seen.lock().unwrap().push(Seen {
            after: self.begun.elapsed().as_secs(),
            job_type: context.job_type().to_owned(),
            job_id: context.job_id().to_owned(),
            key: context.idempotency_key().to_owned(),
            group: context.message().group.clone(),
            correlation: context.correlation_id().to_owned(),
            trace: context.traceparent(),
            tenant: context.attribute("tenant").map(str::to_owned),
        });
    }

    fn router(&self) -> Router {
        let (orders, invoices) = (self.clone(), self.clone());
        let place = move |context: Context, order: Order| {
            let shop = orders.clone();
            async move {
                shop.saw(&context);
                // Created outside the reach of the context.
                let invoice = || shop.producer.prepare(&Invoice { order: order.id }).map_err(Failure::reject);
                tokio::task::yield_now().await;
                shop.put(&invoice()?);
                shop.put(&context.blocking(|| Ok(())).await.and_then(|()| invoice())?);
                Ok(())
            }
        };
        let send = move |context: Context, _: Invoice| {
            let shop = invoices.clone();
            async move {
                shop.saw(&context);
                Ok::<(), Failure>(())
            }
        };
        Router::new().handle(place).handle(send)
    }
}

#[tokio::test(start_paused = true)]
async fn typed_jobs_and_those_that_their_handlers_send_arrive_whole() {
    for host in ["consumer", "function"] {
        let queue = ModelQueue::new("jobs", Duration::from_secs(3600), 5);
        let shop = Shop::new(&queue);
        let order = shop.producer.send(&Order { id: 7 }).delay(Duration::from_secs(300)).group("acme");
        let order = order.correlation("request-1").idempotency_key("order:7").attribute("tenant", "acme");
        let order = order.traceparent(TRACE).prepare().unwrap();
        shop.put(&order);
        let plain = shop.producer.prepare(&Order { id: 8 }).unwrap();
        shop.put(&plain);
        if host == "consumer" {
            let consumer = Consumer::start(&queue, shop.router(), |_| {});
            queue.drained().await;
            consumer.stop().await;
        } else {
            let function = TestFunction {
                queue: queue.clone(),
                router: shop.router(),
                change: |_| {},
                observer: Arc::new(NoopObserver),
                claim_store: in_memory(),
                intake: Intake::new("arn:test"),
            };
            function.until_drained().await;
        }
        let seen = shop.seen.lock().unwrap().clone();
        let of = |job_type: &str, key: &str| {
            let found: Vec<_> =
                seen.iter().filter(|seen| seen.job_type == job_type && seen.key == key).collect();
            assert_eq!(found.len(), 1, "{host}: {job_type} {key} in {seen:?}");
            found[0].clone()
        };
        let text = |text: &str| Some(text.to_owned());
        let expected = Seen {
            after: 300,
            job_type: "order.place".to_owned(),
            job_id: order.job_id().to_owned(),
            key: "order:7".to_owned(),
            group: text("acme"),
            correlation: "request-1".to_owned(),
            trace: text(TRACE),
            tenant: text("acme"),
        };
        assert_eq!(of("order.place", "order:7"), expected, "{host}");
        let first = of("order.place", plain.job_id());
        assert_eq!((first.after, &first.trace, &*first.correlation), (0, &None, plain.job_id()), "{host}");
        // Sent twice, and run once because of its key.
        let invoice = of("invoice.send", "invoice:7");
        assert_eq!((&*invoice.correlation, invoice.trace), ("request-1", text(TRACE)), "{host}");
        let invoice = of("invoice.send", "invoice:8");
        assert_eq!((&*invoice.correlation, invoice.trace), (plain.job_id(), None), "{host}");
        assert_eq!(seen.len(), 4, "{host}: {seen:?}");
    }
}
