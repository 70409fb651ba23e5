//! The number of round trips of each call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use drumline::core::{ClaimRequest, ClaimResult, Ownership, ReleaseClaim};
use drumline::message::Identity;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use drumline_store::conformance::cases::{documents, tokens};
use drumline_store::{Forgotten, assert_claim_result};

use crate::world::{LONG, World, again, attempt, granted, json, progress, request_of};

/// A proxy that counts how often the client sends to the server after a response.
struct Proxy {
    at: SocketAddr,
    turns: Arc<AtomicUsize>,
}

impl Proxy {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, turns) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&turns);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&counted)));
            }
        });
        Self { at, turns }
    }

    /// Returns the number since the last call.
    fn turns(&self) -> usize {
        self.turns.swap(0, Ordering::Relaxed)
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, turns: Arc<AtomicUsize>) {
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut is_client_s_turn = true;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(read @ 1..) = read else { return };
                if std::mem::take(&mut is_client_s_turn) {
                    turns.fetch_add(1, Ordering::Relaxed);
                }
                server.write_all(&up[..read]).await.unwrap();
            }
            read = server.read(&mut down) => {
                let Ok(read @ 1..) = read else { return };
                is_client_s_turn = true;
                client.write_all(&down[..read]).await.unwrap();
            }
        }
    }
}

/// After the connection is made, and statements are compiled or prepared.
pub async fn every_call_is_one_round_trip(world: World) {
    let url = Url::parse(world.at()).unwrap();
    let server = url.socket_addrs(|| None).unwrap()[0];
    let proxy = Proxy::to(server).await;
    let mut through = url.clone();
    through.set_host(Some(&proxy.at.ip().to_string())).unwrap();
    through.set_port(Some(proxy.at.port())).unwrap();
    let world = world.moved_to(through.to_string());
    let store = world.worker("one").await;

    let how = ReleaseClaim { count_attempt: true, failure_reason: None, dead: false };
    for round in ["first", "second"] {
        let mut counted = Vec::new();
        proxy.turns();
        let mut count = |what: &'static str| counted.push((what, proxy.turns()));
        let request = world.locking(round, "lock");
        let claim = granted(&store, &request).await.claim;
        count("claim");
        assert_eq!(store.renew(&claim, LONG).await, Ok(Ownership::Kept));
        count("renew");
        assert_eq!(store.checkpoint(&claim, &json("1")).await, Ok(Ownership::Kept));
        count("checkpoint");
        assert_eq!(store.release_claim(&claim, &how).await, Ok(Ownership::Kept));
        count("surrender");
        let claim = granted(&store, &again(&request)).await.claim;
        count("claim again");
        assert_eq!(store.attempted(&claim.identity, &attempt(1)).await, Ok(()));
        count("attempted");
        assert_eq!(store.progress(&claim.identity, &progress(1)).await, Ok(()));
        count("progress");
        assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
        count("finish");
        let duplicate = Identity::clone(&claim.identity).with_job_id(world.name("duplicate"));
        assert_claim_result!(store.claim(&request_of(duplicate)).await.unwrap(), ClaimResult::Done(_));
        count("claim of a duplicate");
        assert_eq!(store.forget(claim.identity.key()).await, Ok(Forgotten::Done));
        count("forget");
        let kind = &documents::kind(&world);
        assert_eq!(store.put_document(kind, round, None, "1", LONG).await, Ok(true));
        count("document's change");
        assert_eq!(store.document(kind, round).await, Ok(Some("1".to_owned())));
        count("document");
        assert!(store.documents(kind).await.is_ok_and(|documents| !documents.is_empty()));
        count("documents");
        let request = tokens::request(&world, "mail", "1/h", 10, 1);
        assert_eq!(store.lease_tokens(&request).await.map(|leased| leased.tokens), Ok(1));
        count("lease of tokens");
        // All of these look for records of version 0.1, except this one.
        let request = ClaimRequest { legacy_key: None, ..world.request(&format!("new {round}")) };
        granted(&store, &request).await;
        count("claim without old records");
        if round == "second" {
            for (what, turns) in counted {
                assert_eq!(turns, 1, "{what}");
            }
        }
    }
}
