use std::collections::{HashSet, VecDeque};

use proptest::prelude::*;

use super::*;

/// A queue whose messages queue up again behind those that wait, as those of a fair queue do.
struct Model {
    visible: VecDeque<u64>,
    held: Vec<u64>,
    in_flight_limit: usize,
}

/// What a look at a model saw.
struct Looked {
    seen: HashSet<u64>,
    receives: usize,
    most_held: usize,
}

fn look(model: &mut Model, mut rounds: Rounds, batch: usize, lapse: Option<usize>) -> Looked {
    let (mut seen, mut held) = (HashSet::new(), HashSet::new());
    let mut looked = Looked { seen: HashSet::new(), receives: 0, most_held: 0 };
    loop {
        match rounds.next() {
            Step::End => break,
            Step::ReleaseAll => {
                model.visible.extend(model.held.drain(..));
                held.clear();
                rounds.released_all();
            }
            Step::Receive => {
                looked.receives += 1;
                if lapse.is_some_and(|every| looked.receives.is_multiple_of(every)) && !model.held.is_empty()
                {
                    let letter = model.held.remove(0);
                    model.visible.push_back(letter);
                }
                let room = model.in_flight_limit - model.held.len();
                if room == 0 {
                    rounds.refused_as_full();
                    continue;
                }
                let count = batch.min(room).min(model.visible.len());
                let letters: Vec<u64> = model.visible.drain(..count).collect();
                let new = letters.iter().filter(|letter| seen.insert(**letter)).count() as u64;
                held.extend(letters.iter().copied());
                rounds.received(new, letters.len() as u64 - new, held.len() as u64);
                model.held.extend(letters);
                looked.most_held = looked.most_held.max(model.held.len());
            }
        }
    }
    looked.seen = seen;
    looked
}

proptest! {
    #[test]
    fn every_letter_is_seen_and_a_look_ends(
        letters in 0_u64..400,
        said in 0_u64..500,
        hold_limit in 10_u64..150,
        in_flight_limit in 20_usize..200,
        batch in 1_usize..=10,
        lapse in proptest::option::of(2_usize..20),
    ) {
        let mut model = Model { visible: (0..letters).collect(), held: Vec::new(), in_flight_limit };
        let looked = look(&mut model, Rounds::new(said, hold_limit, false), batch, lapse);
        // A depth that is said too low may end it early only once as many were seen.
        prop_assert!(looked.seen.len() as u64 >= letters.min(said.max(1)), "{} of {letters}", looked.seen.len());
        if said >= letters {
            prop_assert_eq!(looked.seen.len() as u64, letters);
        }
        prop_assert!(looked.most_held as u64 <= hold_limit + hold_limit / 10 + 10);
        prop_assert!(looked.receives <= 6_000, "{} receives", looked.receives);
    }
}

#[test]
fn a_queue_that_fits_is_looked_at_in_one_round() {
    let mut model = Model { visible: (0..100).collect(), held: Vec::new(), in_flight_limit: 1_000 };
    let looked = look(&mut model, Rounds::new(100, HOLD_LIMIT, false), 10, None);
    assert_eq!((looked.seen.len(), looked.receives), (100, 11), "and one empty receive");
}

#[test]
fn two_rounds_see_twice_as_many_as_may_be_held() {
    let mut model = Model { visible: (0..200).collect(), held: Vec::new(), in_flight_limit: 1_000 };
    let looked = look(&mut model, Rounds::new(200, 100, false), 10, None);
    assert_eq!((looked.seen.len(), looked.receives), (200, 21), "a receive without a new letter ends it");
}

#[test]
fn a_queue_that_is_full_of_others_letters_is_given_up() {
    let mut rounds = Rounds::new(100, HOLD_LIMIT, false);
    rounds.refused_as_full();
    assert_eq!(rounds.next(), Step::End);
}

#[test]
fn a_release_shows_no_more_of_a_fifo_queue() {
    let mut rounds = Rounds::new(1_000, 10, true);
    rounds.received(10, 0, 10);
    assert_eq!(rounds.next(), Step::End);
    rounds.left(0);
    assert_eq!(rounds.next(), Step::Receive, "letters that are deleted show the next ones");
}

#[test]
fn letters_that_come_again_are_no_end_while_more_are_there() {
    let mut rounds = Rounds::new(1_000, HOLD_LIMIT, false);
    for _ in 0..10 {
        rounds.received(10, 0, 100);
    }
    for _ in 0..10 {
        rounds.received(0, 10, 100);
        assert_eq!(rounds.next(), Step::Receive);
    }
    rounds.received(0, 10, 100);
    assert_eq!(rounds.next(), Step::End, "each came again, and none was new");
}
