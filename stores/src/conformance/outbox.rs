//! The conformance suite of outboxes: the required behaviour of every [`Outbox`].
//!
//! It runs like the [suite of stores](mod@crate::conformance), with [`outbox_conformance!`](crate::outbox_conformance). A take
//! returns all jobs of an outbox, so every case needs its own outbox.

pub mod steps;
mod world;

/// The cases by topic.
#[doc(hidden)]
#[allow(missing_docs, reason = "the name of a case says what it shows")]
#[allow(clippy::wildcard_imports, reason = "cases are written in the words of `steps`")]
pub mod cases {
    pub mod adding;
    pub mod concluding;
    pub mod groups;
    pub mod people;
    pub mod races;
    pub mod states;
    pub mod taking;
    pub mod unique;
    pub mod values;
}

pub use self::world::{OutboxSubject, OutboxWorld, run, run_on_threads};
#[allow(unused_imports, reason = "for links in the documentation")]
use crate::outbox::Outbox;

/// Generates one `#[test]` for each case of the [conformance suite of outboxes](mod@crate::conformance::outbox). The expression
/// creates an [`OutboxSubject`](crate::conformance::outbox::OutboxSubject), or an `Option` of one: if it is `None`, the cases
/// are skipped.
#[macro_export]
macro_rules! outbox_conformance {
    ($subject:expr) => {
        $crate::outbox_conformance_cases! { run, $subject;
            adding {
                a_job_is_taken_as_it_was_added,
                a_job_that_is_added_twice_is_there_once,
                a_job_that_was_sent_and_removed_may_be_added_again,
                jobs_are_added_all_or_none,
                jobs_are_due_by_the_clock_of_the_outbox,
                nothing_may_be_added,
                a_wait_ends_when_a_job_is_added,
                a_wait_ends_when_a_job_is_due,
            }
            taking {
                a_take_has_a_bound,
                a_job_is_taken_once,
                a_lease_that_ends_gives_the_job_to_another_relay,
                a_lease_that_ended_may_be_concluded_if_no_take_has_come,
                a_relay_that_leaves_gives_its_jobs_back,
                relays_share_the_jobs,
                a_take_is_bounded_in_bytes,
            }
            concluding {
                a_job_that_was_sent_is_gone,
                a_job_that_is_put_back_is_due_again_in_its_time,
                a_job_that_is_put_back_for_no_time_is_due_at_once,
                a_parked_job_waits_for_an_operator,
                a_job_that_was_sent_is_kept_for_its_time,
                a_conclusion_that_is_repeated_changes_nothing,
                a_job_that_was_removed_is_not_concluded,
            }
            groups {
                jobs_of_a_group_are_taken_in_order,
                a_group_is_in_the_hands_of_one_relay,
                a_job_that_is_put_back_holds_up_its_group,
                jobs_that_are_put_back_together_keep_their_order,
                a_job_put_back_blocks_those_behind_it,
                a_parked_job_holds_up_nothing,
                a_removed_job_holds_up_nothing,
                a_job_whose_time_has_not_come_holds_up_nothing,
                a_group_goes_to_another_relay_in_order,
                a_group_in_hand_continues_after_its_relay_has_left,
            }
            people {
                lag_counts_what_is_due_and_what_is_not,
                a_job_that_is_put_back_is_still_behind,
                rows_are_listed_in_the_order_of_adding,
                a_parked_job_that_is_tried_again_has_no_failures,
                retry_and_remove_count_what_they_change,
            }
            unique {
                a_second_job_is_not_added_while_the_first_waits_or_is_sent,
                the_call_may_be_repeated,
                a_job_that_waits_is_replaced,
                a_job_that_a_relay_has_is_not_replaced,
                a_job_that_was_put_back_is_not_replaced,
                a_job_whose_lease_has_ended_is_not_replaced,
                a_job_that_a_relay_has_put_back_is_not_replaced,
                a_job_that_was_sent_is_not_replaced,
                a_job_is_replaced_into_another_group,
                a_job_is_put_off_up_to_its_longest_wait,
                the_key_is_taken_from_the_named_job_only,
                the_key_is_taken_from_a_job_that_waits,
                the_key_is_free_after_its_window,
                the_key_of_a_removed_job_is_free,
                a_job_of_a_former_holder_frees_no_key,
                a_parked_job_holds_its_key,
            }
            states {
                a_state_changes_only_for_those_who_have_read_it,
                a_state_changes_only_together_with_its_jobs,
                a_change_that_is_repeated_adds_nothing,
                a_state_is_removed,
                states_are_listed_by_name,
                a_lease_is_one_owners_until_it_ends,
                a_renewed_lease_lasts,
                a_lease_is_released,
                leases_of_other_names_do_not_matter,
            }
            values {
                odd_texts_are_kept,
                large_payloads_fit,
                long_names_fit,
                what_cannot_be_kept_is_refused,
            }
        }
        $crate::outbox_conformance_cases! { run_on_threads, $subject;
            races {
                one_of_many_adders_of_a_key_adds_its_job,
                adders_of_one_id_add_it_once,
                relays_never_have_one_job_at_once,
                groups_keep_their_order_among_relays_that_leave,
                one_of_many_changes_is_made,
                one_of_many_owners_leads,
            }
        }
    };
}

/// Runs cases of the suite as tests.
#[doc(hidden)]
#[macro_export]
macro_rules! outbox_conformance_cases {
    ($run:ident, $subject:expr; $($group:ident { $($case:ident,)* })*) => {
        $($(
            #[test]
            fn $case() {
                $crate::conformance::outbox::$run(
                    $subject,
                    $crate::conformance::outbox::cases::$group::$case,
                );
            }
        )*)*
    };
}
