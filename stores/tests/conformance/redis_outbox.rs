//! Behaviour that only the outbox in Redis has.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drumline_store::conformance::outbox::steps::{
    ALL, LONG, SHORT, all_sent, assert_nothing, drain, due, eventually, grouped, job, row_ids, rows, take,
};
use drumline_store::outbox::{self, Added, Due, OnConflict, Outbox, OutboxJob, RowState, Rows, Unique};
use drumline_store::{OpenError, StoreError};

use crate::servers::Server;
use crate::world::{Kind, World};

async fn opened(server: &Server) -> Arc<dyn Outbox> {
    let mut outbox = None;
    eventually("the server has started", async || {
        outbox = outbox::open(&server.url(), Duration::ZERO).await.ok();
        outbox.is_some()
    })
    .await;
    outbox.unwrap()
}

/// Sends an operator's command.
async fn command(server: &Server, words: &[&str]) -> redis::RedisResult<redis::Value> {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await
}

pub async fn jobs_survive_kills_of_the_server(_: World) {
    const KILLS: usize = 3;
    let Some(mut server) = Server::start(Kind::Redis) else { return };
    let outbox = opened(&server).await;
    let (mut added, mut sent) = (HashSet::new(), HashSet::new());
    for kill in 0..KILLS {
        let adding = tokio::spawn({
            let outbox = Arc::clone(&outbox);
            async move {
                let mut answered = Vec::new();
                for index in 0.. {
                    let ids = [0, 1, 2].map(|number| format!("{kill}-{index}-{number}"));
                    let group = format!("group {}", index % 3);
                    let jobs = [grouped(&ids[0], &group), job(&ids[1]), due(job(&ids[2]), Due::After(LONG))];
                    if outbox.add(&jobs).await.is_err() {
                        return answered;
                    }
                    answered.extend(ids);
                }
                answered
            }
        });
        // A relay works meanwhile, and has some jobs in hand when the server dies.
        for _ in 0..20 {
            let taken = outbox.take("relay", 7, LONG).await.unwrap();
            sent.extend(taken.iter().map(|taken| taken.job.id.clone()));
            all_sent(&outbox, taken).await;
        }
        outbox.take("relay", 7, LONG).await.unwrap();
        server.kill();
        added.extend(adding.await.unwrap());
        server.start_again();
        eventually("the server answers again", async || outbox.now_ms().await.is_ok()).await;
        outbox.leave("relay").await.unwrap();
    }
    let lag = outbox.lag().await.unwrap();
    assert!(lag.due > 0 && lag.later > 0, "{lag:?}");
    loop {
        let taken = outbox.take("relay", ALL, LONG).await.unwrap();
        if taken.is_empty() {
            break;
        }
        for taken in &taken {
            assert!(sent.insert(taken.job.id.clone()), "{} came twice", taken.job.id);
        }
        all_sent(&outbox, taken).await;
    }
    let waiting = row_ids(&outbox, None).await;
    let known: HashSet<&str> = sent.iter().chain(&waiting).map(String::as_str).collect();
    let lost: Vec<_> = added.iter().filter(|id| !known.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    // All due jobs have arrived; of each call, all or none.
    for id in &known {
        let (call, _) = id.rsplit_once('-').unwrap();
        let is_whole = [0, 1, 2].iter().all(|number| known.contains(&*format!("{call}-{number}")));
        assert!(is_whole, "only a part of call {call} was added");
    }
    assert!(waiting.iter().all(|id| id.ends_with("-2")), "{waiting:?}");
}

pub async fn a_full_server_refuses_new_jobs_and_is_emptied(_: World) {
    let Some(server) = Server::start(Kind::Redis) else { return };
    let outbox = opened(&server).await;
    let unique = Unique::new("key", LONG, OnConflict::Keep);
    // The first take gets a job without a group, and the second one a group.
    let in_group = [grouped("2", "group"), grouped("3", "group")].map(|job| due(job, Due::After(SHORT)));
    outbox.add(&[&[job("1")][..], &in_group].concat()).await.unwrap();
    command(&server, &["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    let refusals = [
        outbox.add(&[job("4")]).await.err(),
        outbox.add_unique(&job("4"), &unique).await.err(),
        outbox.change("name", None, Some("1"), &[job("4")]).await.err(),
        outbox.lead("name", "owner", LONG).await.err(),
    ];
    for refusal in refusals {
        let text = refusal.unwrap().into_text();
        assert!(text.contains("maxmemory"), "{text}");
    }
    // A known job needs no memory.
    outbox.add(&[job("1")]).await.unwrap();
    assert_eq!(outbox.states().await, Ok(vec![]));
    assert_eq!(drain(&outbox, "relay", 3).await.len(), 3);
    assert_eq!(row_ids(&outbox, None).await, [""; 0]);
    command(&server, &["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    outbox.add(&[job("4")]).await.unwrap();
    assert_eq!(drain(&outbox, "relay", 1).await, ["4"]);
}

pub async fn a_server_that_evicts_jobs_is_refused(_: World) {
    let Some(server) = Server::start(Kind::Redis) else { return };
    opened(&server).await;
    command(&server, &["CONFIG", "SET", "maxmemory", "1gb"]).await.unwrap();
    for (policy, is_refused) in [("allkeys-lru", true), ("volatile-lru", false), ("noeviction", false)] {
        command(&server, &["CONFIG", "SET", "maxmemory-policy", policy]).await.unwrap();
        match outbox::open(&server.url(), Duration::ZERO).await {
            Err(OpenError::Unavailable(StoreError::Refused(text))) => {
                assert!(is_refused && text.to_string().contains("noeviction"), "{policy}: {text}");
            }
            Err(error) => panic!("{policy}: {error}"),
            Ok(_) => assert!(!is_refused, "{policy}"),
        }
    }
    // A server that does not show its settings is accepted.
    command(&server, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await.unwrap();
    command(&server, &["ACL", "SETUSER", "default", "-info"]).await.unwrap();
    let outbox = opened(&server).await;
    outbox.add(&[job("1")]).await.unwrap();
    assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
}

pub async fn a_node_of_a_cluster_has_all_keys(_: World) {
    let Some(server) = Server::start_with(Kind::Redis, &["--cluster-enabled", "yes"]) else { return };
    let outbox = opened(&server).await;
    let slots: Vec<String> = (0..16_384).map(|slot: u32| slot.to_string()).collect();
    let add: Vec<&str> =
        ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
    command(&server, &add).await.unwrap();
    eventually("the cluster is up", async || outbox.add(&[job("1")]).await.is_ok()).await;
    outbox.add(&[grouped("2", "group"), grouped("3", "group")]).await.unwrap();
    let unique = Unique::new("key", LONG, OnConflict::Replace);
    outbox.add_unique(&job("4"), &unique).await.unwrap();
    outbox.add_unique(&job("5"), &unique).await.unwrap();
    assert_eq!(outbox.change("name", None, Some("1"), &[job("6")]).await, Ok(true));
    outbox.lead("name", "owner", LONG).await.unwrap();
    take(&outbox, "relay").await;
    outbox.leave("relay").await.unwrap();
    let mut drained = drain(&outbox, "relay", 5).await;
    drained.sort_unstable();
    assert_eq!(drained, ["1", "2", "3", "4", "6"]);
}

pub async fn a_job_may_be_added_again_once_it_is_kept_no_more(_: World) {
    let Some(server) = Server::start(Kind::Redis) else { return };
    opened(&server).await;
    let outbox = outbox::open(&server.url(), SHORT * 4).await.unwrap();
    outbox.add(&[job("1")]).await.unwrap();
    assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
    outbox.add(&[job("1")]).await.unwrap();
    assert_nothing(&outbox, "relay").await;
    tokio::time::sleep(SHORT * 4).await;
    // No call that removes it comes before.
    outbox.add(&[job("1")]).await.unwrap();
    assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
}

pub async fn tokens_grow_although_the_server_has_missed_some(_: World) {
    let Some(server) = Server::start(Kind::Redis) else { return };
    let outbox = opened(&server).await;
    outbox.add(&[job("1"), job("2")]).await.unwrap();
    let first = outbox.take("one", 1, LONG).await.unwrap().remove(0);
    let leader = outbox.lead("name", "one", LONG).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    // As after a failover to a replica that lacks the last writes.
    command(&server, &["DEL", "{drumline}:outbox:counters", "{drumline}:outbox:leases"]).await.unwrap();
    let second = outbox.take("other", 1, LONG).await.unwrap().remove(0);
    assert!(second.lease.fencing_token > first.lease.fencing_token, "{second:?} after {first:?}");
    let next = outbox.lead("name", "other", LONG).await.unwrap().unwrap();
    assert!(next.fencing_token > leader.fencing_token, "{next:?} after {leader:?}");
}

pub async fn jobs_that_cannot_be_read_hold_up_no_others(_: World) {
    let Some(server) = Server::start(Kind::Redis) else { return };
    let outbox = opened(&server).await;
    outbox.add(&[job("newer"), job("1"), job("lost"), grouped("in group", "group")]).await.unwrap();
    outbox.add(&[grouped("2", "group"), job("row")]).await.unwrap();
    // As a newer version or another program writes them.
    let newer = r#"{"id":"newer","type":"t","payload":"{}","due":{"atDawn":{}}}"#;
    let jobs = "{drumline}:outbox:jobs";
    command(&server, &["HSET", jobs, "newer", newer, "in group", "no JSON"]).await.unwrap();
    command(&server, &["HDEL", jobs, "lost"]).await.unwrap();
    let mut drained = drain(&outbox, "relay", 3).await;
    drained.sort_unstable();
    assert_eq!(drained, ["1", "2", "row"]);
    assert_nothing(&outbox, "relay").await;
    let parked = rows(&outbox, RowState::Parked).await;
    assert_eq!(parked.iter().map(|row| &*row.job.id).collect::<Vec<_>>(), ["newer", "lost", "in group"]);
    for row in &parked {
        let reason = row.reason.as_deref().unwrap_or_default();
        assert!(reason.starts_with("this version cannot read the job in Redis"), "{reason}");
    }
    assert_eq!(serde_json::from_str::<String>(&parked[0].job.payload).unwrap(), newer);

    // An operator who has updated the relay retries it.
    let readable = newer.replace(r#","due":{"atDawn":{}}"#, "");
    command(&server, &["HSET", jobs, "newer", &readable]).await.unwrap();
    assert_eq!(outbox.retry(&["newer".to_owned()]).await, Ok(1));
    assert_eq!(drain(&outbox, "relay", 1).await, ["newer"]);

    // A row in a state that this version does not know is left out of lists.
    outbox.add(&[job("unknown"), job("3")]).await.unwrap();
    let row = r#"{"state":"paused","number":9,"added":0,"due":0,"failures":0}"#;
    command(&server, &["HSET", "{drumline}:outbox:rows", "unknown", row]).await.unwrap();
    assert_eq!(row_ids(&outbox, None).await, ["lost", "in group", "3"]);
    let named = ["unknown", "lost", "3"].map(str::to_owned).to_vec();
    let shown = outbox.rows(&Rows::of(named)).await.unwrap();
    assert_eq!(shown.iter().map(|row| &*row.job.id).collect::<Vec<_>>(), ["lost", "3"]);
}

pub async fn a_job_that_a_relay_of_an_earlier_version_has_is_not_replaced(_: World) {
    let Some(server) = Server::start(Kind::Redis) else { return };
    let outbox = opened(&server).await;
    let unique = Unique::new("key", LONG, OnConflict::Replace);
    outbox.add_unique(&job("1"), &unique).await.unwrap();
    assert_eq!(take(&outbox, "relay").await.len(), 1);
    // Without the flag, which those versions do not set.
    let rows = "{drumline}:outbox:rows";
    let row: String = redis::from_redis_value(command(&server, &["HGET", rows, "1"]).await.unwrap()).unwrap();
    let mut row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&row).unwrap();
    assert_eq!(row.remove("was_taken"), Some(true.into()));
    command(&server, &["HSET", rows, "1", &serde_json::to_string(&row).unwrap()]).await.unwrap();
    let waiting = Added::Waiting { id: "1".to_owned() };
    assert_eq!(outbox.add_unique(&job("2"), &unique).await, Ok(waiting));
}

pub async fn the_work_of_a_call_is_bounded(_: World) {
    const JOBS: usize = 20_000;
    let Some(server) = Server::start(Kind::Redis) else { return };
    let outbox = opened(&server).await;
    let jobs: Vec<OutboxJob> = (0..JOBS)
        .map(|index| {
            let id = index.to_string();
            if index < JOBS / 2 {
                grouped(&id, if index % 2 == 0 { "hot" } else { "cold" })
            } else {
                job(&id)
            }
        })
        .collect();
    for jobs in jobs.chunks(500) {
        outbox.add(jobs).await.unwrap();
    }
    let mut came = HashSet::new();
    loop {
        let begun = Instant::now();
        let taken = outbox.take("relay", JOBS, LONG).await.unwrap();
        assert!(taken.len() <= 1_000, "{}", taken.len());
        let of_hot = taken.iter().filter(|taken| taken.job.group.as_deref() == Some("hot")).count();
        assert!(of_hot <= 100, "{of_hot}");
        if taken.is_empty() {
            break;
        }
        came.extend(taken.iter().map(|taken| taken.job.id.clone()));
        all_sent(&outbox, taken).await;
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    assert_eq!(came.len(), JOBS);
    assert_nothing(&outbox, "relay").await;
}

/// Measures the figures of the documentation, with the variables of `cargo xtask test`: `cargo test --workspace --release
/// --test conformance -- --ignored --nocapture redis_outbox::figures`.
#[allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "a measurement")]
#[tokio::test]
#[ignore = "a measurement"]
async fn figures() {
    const JOBS: usize = 50_000;
    let Some(server) = Server::start_with(Kind::Redis, &["--appendfsync", "everysec"]) else { return };
    let outbox = opened(&server).await;
    for groups in [0, 1_000] {
        let jobs: Vec<OutboxJob> = (0..JOBS)
            .map(|index| {
                let mut job = job(&format!("{groups:04}-{index:031}"));
                job.group = (groups > 0).then(|| format!("customer-{}", index % groups));
                job.payload = format!("{{\"text\":\"{}\"}}", "x".repeat(1_000));
                job
            })
            .collect();
        let report = async |what: &str, begun: Instant, cpu: f64| {
            let rate = JOBS as f64 / begun.elapsed().as_secs_f64();
            let micros = (cpu_seconds(&server).await - cpu) * 1e6 / JOBS as f64;
            println!("{groups} groups, {what}: {rate:.0} jobs/s, {micros:.0} us of the server's CPU each");
        };
        let (begun, cpu) = (Instant::now(), cpu_seconds(&server).await);
        for jobs in jobs.chunks(100) {
            outbox.add(jobs).await.unwrap();
        }
        report("added by 100", begun, cpu).await;
        let bytes = info(&server, "memory", &["used_memory"]).await / JOBS as f64;
        println!("{groups} groups: {bytes:.0} bytes of memory each");
        let (begun, cpu, mut count) = (Instant::now(), cpu_seconds(&server).await, 0);
        while count < JOBS {
            let taken = outbox.take("relay", 1_000, LONG).await.unwrap();
            count += taken.len();
            for some in taken.chunks(100) {
                all_sent(&outbox, some.to_vec()).await;
            }
        }
        report("taken by 1,000 and concluded by 100", begun, cpu).await;
    }
}

async fn cpu_seconds(server: &Server) -> f64 {
    info(server, "cpu", &["used_cpu_user", "used_cpu_sys"]).await
}

/// Returns the sum of some figures of the server.
async fn info(server: &Server, section: &str, names: &[&str]) -> f64 {
    let info: String = redis::from_redis_value(command(server, &["INFO", section]).await.unwrap()).unwrap();
    let figures = info.lines().filter_map(|line| line.split_once(':'));
    let figures = figures.filter(|(name, _)| names.contains(name));
    figures.map(|(_, figure)| figure.trim_end().parse::<f64>().unwrap()).sum()
}
