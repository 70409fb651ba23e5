//! The order of a replay against a model of its queues: no kill loses a letter.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::journal::record::JOURNAL_VERSION;
use crate::letter_id::LetterId;

const BATCH: usize = 10;

fn header() -> Header {
    Header {
        drumline_journal: JOURNAL_VERSION,
        kind: "replay".to_owned(),
        name: "INC-42".to_owned(),
        actor: "ops@host".to_owned(),
        dlq_url: "http://127.0.0.1/0/jobs-dlq".to_owned(),
        queue: None,
        words: Vec::new(),
        files: Vec::new(),
        from: None,
        started_at: 1,
        hold_secs: 120,
    }
}

fn planned(letter: usize) -> Planned {
    Planned { letter: format!("m-{letter}"), receipt: Some(format!("r-{letter}")), until: 120_000 }
}

fn sent(count: usize) -> Vec<Result<String, String>> {
    (0..count).map(|letter| Ok(format!("n-{letter}"))).collect()
}

#[test]
fn a_send_waits_for_its_plan_and_a_delete_for_its_answer() {
    let mut log = Log::begin(header());
    log.take_lines();
    assert_eq!(log.synced(), Permitted::default());

    log.plan(1, "q", vec![planned(0), planned(1)]);
    assert_eq!(log.synced(), Permitted::default(), "the plan is not written yet");
    log.take_lines();
    let permitted = log.synced();
    assert_eq!(permitted.send.unwrap().letters.len(), 2);
    assert_eq!(log.synced(), Permitted::default(), "a batch is sent once");

    log.answered(&[Ok("n-0".to_owned()), Err("too long".to_owned())]);
    assert_eq!(log.synced(), Permitted::default(), "the answer is not written yet");
    log.plan(2, "q", vec![planned(2)]);
    log.take_lines();
    let permitted = log.synced();
    assert_eq!(permitted.delete, [(0, 0, planned(0))], "a letter that was not sent stays");
    assert_eq!(permitted.send.unwrap().batch, 1);
    assert_eq!(log.state().per_queue()["q"], 1);
}

#[test]
fn a_batch_without_an_answer_is_in_doubt_before_it_is_resent() {
    let mut log = Log::begin(header());
    log.plan(1, "q", vec![planned(0), planned(1)]);
    log.take_lines();
    assert!(log.synced().send.is_some());
    log.send_again(2);
    assert_eq!(log.synced(), Permitted::default(), "the doubt is not written yet");
    let lines = log.take_lines();
    assert!(lines.contains("resent"), "{lines}");
    assert_eq!(log.synced().send.unwrap().letters.len(), 2);
    assert_eq!(log.state().doubtful(), 2);
    log.answered(&sent(2));
    assert_eq!((log.state().doubtful(), log.state().sent()), (2, 2));
    assert_eq!(log.state().interrupted_at(LetterId::of("m-0")), None, "SQS has confirmed it");
}

#[test]
fn a_resumed_log_does_not_send_what_was_planned_before() {
    let mut log = Log::begin(header());
    log.plan(1, "q", vec![planned(0)]);
    let (state, _) = State::read(log.take_lines().as_bytes()).unwrap();
    let mut log = Log::resume(state, 2, 120);
    log.take_lines();
    assert_eq!(log.synced(), Permitted::default());
    assert_eq!((log.state().doubtful(), log.state().next_batch()), (1, 1));
    assert!(log.state().may_send(LetterId::of("m-0")), "it is received again");
}

/// The queues, and the process's file.
#[derive(Default)]
struct World {
    dead: BTreeSet<usize>,
    /// The number of deliveries of each letter to its origin.
    delivered: BTreeMap<usize, usize>,
    file: String,
    next_id: usize,
}

/// The number of steps until the process is killed.
struct Life(usize);

impl Life {
    fn step(&mut self) -> Result<(), ()> {
        self.0 = self.0.checked_sub(1).ok_or(())?;
        Ok(())
    }
}

impl World {
    fn write(&mut self, life: &mut Life, lines: &str, torn: usize) -> Result<(), ()> {
        let killed = life.step();
        let length = if killed.is_ok() { lines.len() } else { torn % (lines.len() + 1) };
        self.file.push_str(&lines[..length]);
        killed
    }

    fn delete(
        &mut self,
        life: &mut Life,
        log: &mut Log,
        letters: &[(u64, usize, Planned)],
    ) -> Result<(), ()> {
        for (batch, place, letter) in letters {
            life.step()?;
            self.dead.remove(&letter.letter[2..].parse().unwrap());
            life.step()?;
            log.add(&Record::Gone { batch: *batch, places: vec![*place] });
        }
        Ok(())
    }

    fn send(&mut self, plan: &Plan, refused: usize) -> Vec<Result<String, String>> {
        let send = |(place, letter): (usize, &Planned)| {
            if place == refused {
                return Err("refused".to_owned());
            }
            *self.delivered.entry(letter.letter[2..].parse().unwrap()).or_default() += 1;
            self.next_id += 1;
            Ok(format!("n-{}", self.next_id))
        };
        plan.letters.iter().enumerate().map(send).collect()
    }

    /// Runs one process until it is killed or done. `refused` is the place of an entry that SQS refuses in each batch.
    fn run(&mut self, life: &mut Life, torn: usize, refused: usize) -> Result<(), ()> {
        let mut log = if self.file.contains('\n') {
            let (state, whole) = State::read(self.file.as_bytes()).unwrap();
            self.file.truncate(usize::try_from(whole).unwrap());
            Log::resume(state, 1, 120)
        } else {
            self.file.clear();
            Log::begin(header())
        };
        let rest: Vec<_> =
            log.state().undeleted().map(|(batch, place, letter)| (batch, place, letter.clone())).collect();
        let lines = log.take_lines();
        self.write(life, &lines, torn)?;
        assert_eq!(log.synced(), Permitted::default());
        self.delete(life, &mut log, &rest)?;
        let mut left = BTreeSet::new();
        loop {
            let number_of = |letter: &usize| LetterId::of(&format!("m-{letter}"));
            // A letter that was sent is deleted when it is received again.
            let again: Vec<usize> =
                self.dead.iter().copied().filter(|letter| log.state().was_sent(number_of(letter))).collect();
            let may = |letter: &usize| log.state().may_send(number_of(letter)) && !left.contains(letter);
            let batch: Vec<usize> = self.dead.iter().copied().filter(may).take(BATCH).collect();
            if !batch.is_empty() {
                log.plan(1, "q", batch.iter().map(|letter| planned(*letter)).collect());
            }
            let lines = log.take_lines();
            self.write(life, &lines, torn)?;
            let permitted = log.synced();
            for letter in &again {
                assert!(self.delivered.contains_key(letter));
                let is_permitted =
                    |(_, _, planned): &(u64, usize, Planned)| planned.letter == format!("m-{letter}");
                if !permitted.delete.iter().any(is_permitted) {
                    life.step()?;
                    self.dead.remove(letter);
                }
            }
            self.delete(life, &mut log, &permitted.delete)?;
            let Some(plan) = permitted.send else { break };
            life.step()?;
            let answers = self.send(&plan, refused);
            life.step()?;
            left.extend(
                batch.iter().zip(&answers).filter(|(_, answer)| answer.is_err()).map(|(letter, _)| *letter),
            );
            log.answered(&answers);
        }
        log.add(&Record::Ended { at: 9 });
        let lines = log.take_lines();
        self.write(life, &lines, torn)
    }
}

proptest! {
    #[test]
    fn a_kill_loses_no_letter_and_doubles_at_most_one_batch(
        letters in 0usize..45,
        kills in prop::collection::vec((0usize..60, any::<u16>()), 0..6),
        refused in 0usize..15,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut world = World { dead: (0..letters).collect(), ..World::default() };
        let mut doubled = 0;
        for (steps, torn) in &kills {
            let _ = world.run(&mut Life(*steps), usize::from(*torn), refused);
            for letter in 0..letters {
                prop_assert!(world.dead.contains(&letter) || world.delivered.contains_key(&letter));
            }
            let more: usize = world.delivered.values().map(|count| count - 1).sum();
            prop_assert!(more <= doubled + BATCH, "a kill doubles one batch");
            doubled = more;
        }
        // At the end SQS refuses no entry.
        prop_assert!(world.run(&mut Life(usize::MAX), 0, usize::MAX).is_ok());
        prop_assert!(world.dead.is_empty());
        prop_assert_eq!(world.delivered.len(), letters);
        let (state, whole) = State::read(world.file.as_bytes()).unwrap();
        prop_assert_eq!((state.sent(), whole, state.is_over()), (letters, world.file.len() as u64, true));
        prop_assert_eq!(state.undeleted().count(), 0);
        let end = cut.index(world.file.len());
        match State::read(&world.file.as_bytes()[..end]) {
            Ok((state, whole)) => prop_assert!(whole <= end as u64 && state.sent() <= letters),
            Err(corrupt) => prop_assert_eq!(corrupt, super::super::Corrupt::Empty),
        }
    }
}

#[test]
fn a_file_that_is_no_journal_is_refused() {
    let header = line(&Record::Begin(header()));
    let table = [
        (String::new(), "empty"),
        ("hello".to_owned(), "empty"),
        ("hello\n".to_owned(), "does not begin"),
        (line(&Record::Ended { at: 1 }), "does not begin"),
        (header.replace("\"drumlineJournal\":1", "\"drumlineJournal\":2"), "version 2"),
        (format!("{header}{header}"), "line 2"),
        (format!("{header}x\n{}", line(&Record::Ended { at: 1 })), "line 2"),
        (format!("{header}{}", line(&Record::Gone { batch: 0, places: vec![0] })), "line 2"),
        (format!("{header}{}", line(&Record::Sent { batch: 0, ids: vec![], errors: vec![] })), "line 2"),
        (format!("{header}{}", line(&Record::Chosen { letters: vec!["m-1".to_owned()] })), "line 2"),
    ];
    for (text, says) in table {
        let error = State::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn only_chosen_letters_are_sent_if_letters_were_chosen() {
    let mut log = Log::begin(header());
    assert!(log.state().may_send(LetterId::of("m-1")) && log.state().chosen().is_none());
    log.add(&Record::Chosen { letters: vec![format!("{:x}", LetterId::of("m-1").to_u128())] });
    let (state, _) = State::read(log.take_lines().as_bytes()).unwrap();
    assert!(state.may_send(LetterId::of("m-1")) && !state.may_send(LetterId::of("m-2")));
    assert_eq!(state.chosen(), Some(1));
}

#[test]
fn an_own_message_is_known_again() {
    let mut log = Log::begin(header());
    log.plan(1, "q", vec![planned(0)]);
    log.answered(&sent(1));
    log.add(&Record::Returned { message: "n-0".to_owned() });
    log.add(&Record::Returned { message: "n-0".to_owned() });
    let state = log.state();
    assert!(state.is_own(LetterId::of("n-0")) && !state.is_own(LetterId::of("m-0")));
    assert_eq!(state.returned(), 1);
}

#[test]
fn an_interrupted_letter_is_in_doubt_until_sent_or_found() {
    let mut log = Log::begin(header());
    log.plan(7, "q", vec![planned(0), planned(1)]);
    let (state, _) = State::read(log.take_lines().as_bytes()).unwrap();
    let (found, sent_again) = (LetterId::of("m-0"), LetterId::of("m-1"));
    assert_eq!(state.interrupted_at(found), None, "the answer may come");
    let mut log = Log::resume(state, 8, 120);
    assert_eq!(log.state().interrupted_at(found), Some(7));
    log.add(&Record::Found { letter: "m-0".to_owned() });
    log.plan(9, "q", vec![planned(1)]);
    log.answered(&sent(1));
    let state = log.state();
    assert!(state.was_sent(found) && state.was_sent(sent_again));
    assert_eq!((state.interrupted_at(found), state.interrupted_at(sent_again)), (None, None));
    assert_eq!((state.sent(), state.per_queue()["q"]), (2, 2));
}

#[test]
fn a_twice_interrupted_letter_may_be_sent_by_the_first_batch() {
    let (mut log, mut lines) = (Log::begin(header()), String::new());
    for at in [7, 9] {
        log.plan(at, "q", vec![planned(0)]);
        lines.push_str(&log.take_lines());
        let (state, _) = State::read(lines.as_bytes()).unwrap();
        log = Log::resume(state, at + 1, 120);
    }
    assert_eq!(log.state().interrupted_at(LetterId::of("m-0")), Some(7));
}
