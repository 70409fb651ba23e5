#![allow(clippy::unwrap_used)]
//! Leased tokens: what is asked for, used, and lapses.

use std::sync::Arc;
use std::time::Duration;

use super::*;

const MS: Duration = Duration::from_millis(1);

#[allow(clippy::disallowed_methods)]
fn some_instant() -> Instant {
    Instant::now()
}

struct World {
    tokens: LeasedTokens,
    now: Instant,
}

impl World {
    /// At most 20 tokens are leased at once.
    fn new() -> Self {
        let rate: super::super::rules::Rate = "100/s".parse().unwrap();
        let rule = RateRule { rate, burst: rate.default_burst(), key: None };
        Self { tokens: LeasedTokens::new(&rule), now: some_instant() }
    }

    fn takes(&mut self, key: &Key) -> Result<(), Unleased> {
        self.tokens.check(self.now, key)?;
        self.tokens.take(self.now, key);
        Ok(())
    }

    fn asks(&mut self) -> Vec<u32> {
        self.tokens.demand(self.now, 100).into_iter().map(|(_, most)| most.get()).collect()
    }

    fn demand(most: u32) -> TokenDemand {
        let (job_type, rate) = (Arc::from("mail"), "100/s".parse().unwrap());
        let most = most.try_into().unwrap();
        TokenDemand { job_type, key: None, rate, burst: NonZeroU32::MIN, most }
    }

    fn is_granted(&mut self, most: u32, tokens: u32, next_in: Duration) {
        let (until, next_at) = (self.now + 250 * MS, self.now + next_in);
        self.tokens.granted(self.now, &Self::demand(most), GrantedTokens { tokens, until, next_at });
    }
}

#[test]
fn one_token_is_requested_first_and_more_for_a_busy_key() {
    let mut world = World::new();
    for most in [1, 2, 4, 8, 16, 20, 20] {
        assert!(matches!(world.takes(&None), Err(Unleased::UsedUp(_))));
        assert!(matches!(world.takes(&None), Err(Unleased::UsedUp(_))));
        assert!(world.tokens.has_new_demand());
        assert!(!world.tokens.has_new_demand(), "it is notified of once");
        assert_eq!(world.asks(), [most]);
        assert_eq!(world.asks(), [] as [u32; 0], "one request at a time");
        world.is_granted(most, most, Duration::ZERO);
        for _ in 0..most {
            assert_eq!(world.takes(&None), Ok(()));
        }
        if most > 1 {
            // It has asked at half of the block, and gets nothing.
            assert_eq!(world.asks().len(), 1);
            world.is_granted(20, 0, Duration::ZERO);
            assert_eq!(world.asks(), [] as [u32; 0]);
        }
    }
}

#[test]
fn tokens_lapse_and_fewer_are_asked_for() {
    let mut world = World::new();
    world.takes(&None).unwrap_err();
    world.asks();
    for most in [1, 2, 4] {
        world.tokens.keys.get_mut(&None).unwrap().is_waited_for = true;
        world.is_granted(most, most, Duration::ZERO);
    }
    assert_eq!(world.takes(&None), Ok(()), "of the block that lapses first");
    world.now += 250 * MS;
    assert!(matches!(world.takes(&None), Err(Unleased::UsedUp(_))));
    assert_eq!(world.asks(), [2], "six of seven have lapsed, and eight would have been the next");
}

#[test]
fn after_a_refusal_the_key_asks_again_when_the_store_says() {
    let mut world = World::new();
    world.takes(&None).unwrap_err();
    world.asks();
    world.is_granted(1, 0, 30 * MS);
    assert_eq!(world.asks(), [] as [u32; 0]);
    assert_eq!(world.takes(&None), Err(Unleased::UsedUp(world.now + 30 * MS)));
    assert_eq!(world.tokens.next_demand(), Some(world.now + 30 * MS));
    world.now += 30 * MS;
    assert_eq!(world.asks(), [1], "also if the job that waits has not asked meanwhile");
    let retry_at = world.now + 500 * MS;
    world.tokens.unanswered(&World::demand(1), retry_at);
    assert_eq!(world.takes(&None), Err(Unleased::Unanswered(retry_at)));
    world.now += 500 * MS;
    assert_eq!(world.asks(), [1]);
    world.is_granted(1, 1, Duration::ZERO);
    assert_eq!(world.takes(&None), Ok(()));
    assert!(matches!(world.takes(&None), Err(Unleased::UsedUp(_))));
}

#[test]
fn keys_that_hold_and_need_nothing_go_first() {
    let mut world = World::new();
    let key = |index: usize| Some(Arc::from(format!("key {index}")));
    for index in 0..MAX_KEYS {
        assert!(world.tokens.has_room_for(world.now, &key(index)));
        world.takes(&key(index)).unwrap_err();
    }
    assert!(!world.tokens.has_room_for(world.now, &None));
    assert_eq!(world.tokens.demand(world.now, 16).len(), 16);
    let answered = TokenDemand { key: key(0), ..World::demand(1) };
    let granted = GrantedTokens { tokens: 1, until: world.now + 250 * MS, next_at: world.now };
    world.tokens.granted(world.now, &answered, granted);
    world.now += 200 * MS;
    assert!(!world.tokens.has_room_for(world.now, &None), "it holds a token");
    world.now += 100 * MS;
    assert!(world.tokens.has_room_for(world.now, &None));
    assert!(!world.tokens.keys.contains_key(&key(0)));
}
