//! Properties of decisions for any movement of the clock.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn rules() -> impl Strategy<Value = Rule> {
    prop_oneof![
        (1_u64..4000).prop_map(every),
        Just(cron("*/7 * * * *", "Europe/Zurich")),
        Just(cron("30 2,3 * * *", "Europe/Zurich")),
        Just(cron("15 */5 2 * * *", "America/New_York")),
        Just(cron("* * * * * *", "UTC")),
    ]
}

fn catch_ups() -> impl Strategy<Value = CatchUp> {
    prop_oneof![Just(CatchUp::Skip), Just(CatchUp::Last), Just(CatchUp::All)]
}

/// The seconds by which the clock moves between two passes: mostly forwards, sometimes backwards.
fn moves() -> impl Strategy<Value = Vec<i64>> {
    let one = prop_oneof![8 => 0_i64..90, 2 => 90_i64..20_000, 1 => -9_000_i64..0];
    prop::collection::vec(one, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn each_instant_fires_once_at_most_and_never_early(rule in rules(), catch_up in catch_ups(), moves in moves(), start in 0_i64..20) {
        // Around a daylight saving change in Zurich.
        let mut now = at("2026-10-24T22:00:00Z").as_second() + start * 1000;
        let schedule = schedule(rule, catch_up);
        let mut state: Option<State> = None;
        let mut fired = BTreeSet::new();
        for step in moves {
            now += step;
            let instant = Timestamp::from_second(now).unwrap();
            let decision = due(&schedule, state.as_ref(), instant);
            for firing in &decision.firings {
                prop_assert!(*firing <= instant && fired.insert(*firing), "{firing} at {instant}");
                prop_assert_eq!(schedule.rule().next_after(*firing - Duration::from_secs(1)), Some(*firing));
            }
            prop_assert!(decision.firings.is_sorted());
            if let Some(before) = &state {
                prop_assert!(decision.state.decided >= before.decided);
            }
            // The same pass by another scheduler results in the same state.
            prop_assert_eq!(&due(&schedule, state.as_ref(), instant), &decision);
            state = Some(decision.state);
        }
    }

    #[test]
    fn all_of_a_short_downtime_fire(rule in rules(), moves in prop::collection::vec(0_i64..700, 1..30)) {
        let start = at("2026-10-24T22:00:00Z");
        let schedule = schedule(rule, CatchUp::All);
        let mut now = start.as_second();
        let mut state = due(&schedule, None, start).state;
        let mut fired = Vec::new();
        for step in moves {
            now += step;
            let instant = Timestamp::from_second(now).unwrap();
            loop {
                let decision = due(&schedule, Some(&state), instant);
                fired.extend(decision.firings);
                state = decision.state;
                if !decision.is_more {
                    break;
                }
            }
        }
        let expected: Vec<Timestamp> = schedule.rule().between(start, Timestamp::from_second(now).unwrap()).collect();
        prop_assert_eq!(fired, expected);
    }
}
