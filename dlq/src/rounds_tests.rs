use std::collections::{HashSet, VecDeque};

use proptest::prelude::*;

use super::*;

/// A queue in which released messages wait behind the others, as in a fair queue.
struct Model {
    visible: VecDeque<u64>,
    held: Vec<u64>,
    in_flight_limit: usize,
}

/// A look at a model.
struct Looking {
    rounds: Rounds,
    batch: usize,
    lapse: Option<usize>,
    seen: HashSet<u64>,
    /// Letters that must be seen again.
    sought: HashSet<u64>,
    held: HashSet<u64>,
    receives: usize,
    most_held: usize,
}

impl Looking {
    fn new(rounds: Rounds, batch: usize, lapse: Option<usize>) -> Self {
        let (seen, sought, held) = (HashSet::new(), HashSet::new(), HashSet::new());
        Self { rounds, batch, lapse, seen, sought, held, receives: 0, most_held: 0 }
    }

    /// Looks until the end.
    fn look(&mut self, model: &mut Model) {
        loop {
            match self.rounds.next() {
                Step::End => break,
                Step::ReleaseAll => {
                    model.visible.extend(model.held.drain(..));
                    self.held.clear();
                    self.rounds.released_all();
                }
                Step::Receive => self.receive(model),
            }
        }
    }

    fn receive(&mut self, model: &mut Model) {
        self.receives += 1;
        if self.lapse.is_some_and(|every| self.receives.is_multiple_of(every)) && !model.held.is_empty() {
            let letter = model.held.remove(0);
            model.visible.push_back(letter);
        }
        let room = model.in_flight_limit - model.held.len();
        if room == 0 {
            self.rounds.refused_as_full();
            return;
        }
        let count = self.batch.min(room).min(model.visible.len());
        let letters: Vec<u64> = model.visible.drain(..count).collect();
        self.held.extend(letters.iter().copied());
        let mut received = Received::default();
        for letter in &letters {
            match (self.sought.remove(letter), self.seen.insert(*letter)) {
                (true, _) => received.sought += 1,
                (false, true) => received.new += 1,
                (false, false) => received.again += 1,
            }
        }
        self.rounds.received(received, self.held.len() as u64);
        model.held.extend(letters);
        self.most_held = self.most_held.max(model.held.len());
    }

    /// Puts letters back. They wait behind the others, whose holds have expired.
    fn put_back(&mut self, model: &mut Model, letters: impl IntoIterator<Item = u64>) {
        let letters: HashSet<u64> = letters.into_iter().collect();
        self.held.retain(|letter| !letters.contains(letter));
        model.visible.extend(model.held.drain(..).filter(|letter| !letters.contains(letter)));
        model.visible.extend(letters.iter().copied());
        self.sought.extend(letters);
        self.rounds.left(self.held.len() as u64, self.sought.len() as u64);
    }
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
        let mut looked = Looking::new(Rounds::new(said, hold_limit, false), batch, lapse);
        looked.look(&mut model);
        // A depth that is too low may end it early only after as many letters were seen.
        prop_assert!(looked.seen.len() as u64 >= letters.min(said.max(1)), "{} of {letters}", looked.seen.len());
        if said >= letters {
            prop_assert_eq!(looked.seen.len() as u64, letters);
        }
        prop_assert!(looked.most_held as u64 <= hold_limit + hold_limit / 10 + 10);
        prop_assert!(looked.receives <= 6_000, "{} receives", looked.receives);
    }

    #[test]
    fn every_letter_that_was_put_back_is_seen_again(
        letters in 1_u64..400,
        put_back in 1_u64..50,
        new in 0_u64..30,
        batch in 1_usize..=10,
    ) {
        let mut model = Model { visible: (0..letters).collect(), held: Vec::new(), in_flight_limit: 1_000 };
        let mut looked = Looking::new(Rounds::new(letters, HOLD_LIMIT, false), batch, None);
        looked.look(&mut model);
        for round in 0..3 {
            looked.put_back(&mut model, 0..put_back.min(letters));
            let first = letters + round * new;
            model.visible.extend(first..first + new);
            looked.rounds.look_again();
            looked.look(&mut model);
            prop_assert!(looked.sought.is_empty(), "{} of {put_back} are missing", looked.sought.len());
            prop_assert!((first..first + new).all(|letter| looked.seen.contains(&letter)));
        }
    }
}

#[test]
fn a_queue_that_fits_is_looked_at_in_one_round() {
    let mut model = Model { visible: (0..100).collect(), held: Vec::new(), in_flight_limit: 1_000 };
    let mut looked = Looking::new(Rounds::new(100, HOLD_LIMIT, false), 10, None);
    looked.look(&mut model);
    assert_eq!((looked.seen.len(), looked.receives), (100, 11), "and one empty receive");
}

#[test]
fn two_rounds_see_twice_as_many_as_may_be_held() {
    let mut model = Model { visible: (0..200).collect(), held: Vec::new(), in_flight_limit: 1_000 };
    let mut looked = Looking::new(Rounds::new(200, 100, false), 10, None);
    looked.look(&mut model);
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
    rounds.received(Received { new: 10, ..Received::default() }, 10);
    assert_eq!(rounds.next(), Step::End);
    rounds.left(0, 0);
    assert_eq!(rounds.next(), Step::Receive, "letters that are deleted show the next ones");
}

#[test]
fn letters_that_come_again_are_no_end_while_more_are_there() {
    let mut rounds = Rounds::new(1_000, HOLD_LIMIT, false);
    for _ in 0..10 {
        rounds.received(Received { new: 10, ..Received::default() }, 100);
    }
    for _ in 0..10 {
        rounds.received(Received { again: 10, ..Received::default() }, 100);
        assert_eq!(rounds.next(), Step::Receive);
    }
    rounds.received(Received { again: 10, ..Received::default() }, 100);
    assert_eq!(rounds.next(), Step::End, "each came again, and none was new");
}

#[test]
fn a_repeated_look_ends_once_each_known_letter_was_seen_again() {
    let mut rounds = Rounds::new(100, HOLD_LIMIT, false);
    let known = Received { again: 10, ..Received::default() };
    (0..10).for_each(|_| rounds.received(Received { new: 10, ..Received::default() }, 100));
    rounds.look_again();
    for _ in 0..10 {
        rounds.received(known, 100);
        assert_eq!(rounds.next(), Step::Receive, "others may be behind them");
    }
    rounds.received(known, 100);
    assert_eq!(rounds.next(), Step::End);
    rounds.look_again();
    rounds.received(Received::default(), 100);
    assert_eq!(rounds.next(), Step::End, "nothing waits");
}
