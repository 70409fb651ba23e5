//! The conformance suite: the required behaviour of every [`Store`](crate::Store), as tests for your own store.
//!
//! A test file of a few lines runs it, one named `#[test]` for each case:
//!
//! ```
//! # #![allow(unused)]
//! use std::sync::Arc;
//!
//! use drumline_store::conformance::Subject;
//! use drumline_store::{MemoryStore, OpenError, Store};
//!
//! fn subject() -> Subject {
//!     Subject::new(|owner, keep| async move {
//!         let store: Arc<dyn Store> = Arc::new(MemoryStore::new(owner, keep));
//!         Ok::<_, OpenError>(store)
//!     })
//!     .in_process()
//!     .paused()
//! }
//!
//! drumline_store::conformance!(subject());
//! ```
//!
//! Each case creates its own subject, opens its store for one or more processes, and uses names that no other case uses: all
//! cases may share one server. [`steps`] contains the operations that cases repeat, for your own additional tests.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "these are tests")]

pub mod outbox;
pub mod steps;
mod subject;
mod world;

/// The cases by topic.
#[doc(hidden)]
#[allow(missing_docs, reason = "the name of a case says what it shows")]
pub mod cases {
    pub mod claims;
    pub mod documents;
    pub mod fencing;
    pub mod forgetting;
    pub mod identities;
    pub mod keeping;
    pub mod locks;
    pub mod races;
    pub mod releases;
    pub mod takeovers;
    pub mod tokens;
    pub mod values;
}

pub use subject::Subject;
pub use world::{World, run, run_on_threads};

/// Generates one `#[test]` for each case of the [conformance suite](mod@crate::conformance). The expression creates a
/// [`Subject`](crate::conformance::Subject), or an `Option` of one: if it is `None`, the cases are skipped.
#[macro_export]
macro_rules! conformance {
    ($subject:expr) => {
        $crate::conformance_cases! { run, $subject;
            claims {
                a_free_key_is_granted_and_then_held,
                a_finished_job_answers_with_its_result,
                a_finished_job_may_have_no_result,
                an_expired_claim_is_taken_over_with_a_larger_counter,
                a_released_claim_is_granted_at_once_with_a_larger_counter,
                another_payload_does_not_match_what_runs_or_is_done,
                another_payload_may_follow_what_failed,
                what_is_asked_first_is_answered_first,
            }
            fencing {
                an_owner_that_was_overtaken_writes_nothing,
                an_owner_is_overtaken_by_its_own_process_too,
                an_expired_claim_without_a_taker_can_be_renewed,
                an_expired_claim_without_a_taker_can_be_finished,
                nothing_is_written_after_a_release,
                nothing_is_written_after_the_end,
                what_is_finished_or_released_twice_is_so_once,
                a_renewal_lasts,
                who_never_had_the_claim_writes_nothing,
            }
            releases {
                attempts_are_counted_unless_spared,
                a_takeover_is_another_attempt,
                another_message_begins_anew,
                a_verdict_is_about_one_message,
                a_job_is_dead_after_its_last_attempt_until_it_runs_again,
                a_checkpoint_is_there_for_the_next_attempt,
                a_checkpoint_outlives_its_owner,
                a_checkpoint_is_not_for_another_payload,
                a_checkpoint_ends_with_its_job,
            }
            takeovers {
                claims_that_were_left_unended_are_counted_with_their_owner,
                an_ending_ends_the_count,
                another_message_of_the_job_has_its_own_count,
                a_renewed_claim_is_not_left,
            }
            locks {
                a_lock_is_held_against_other_keys,
                a_lock_that_is_held_leaves_nothing_of_the_claim,
                a_lock_is_free_after_the_end,
                a_lock_is_free_after_a_release,
                a_lock_is_free_after_its_expiry,
                a_renewal_is_one_of_the_lock_too,
                who_lost_the_lock_finishes_nothing,
                locks_of_other_names_do_not_matter,
                a_key_is_held_before_its_lock_is_locked,
            }
            keeping {
                a_done_job_is_forgotten_in_time,
                a_failed_job_is_forgotten_in_time,
                a_running_job_is_never_forgotten,
                a_history_is_in_order_and_bounded,
                the_last_progress_counts,
                a_job_is_found_by_its_id,
                a_job_with_another_id_is_found_by_its_job_id,
                a_job_that_runs_under_another_job_id_is_found_by_both,
                an_unknown_job_is_not_found,
                the_jobs_that_changed_last_are_listed_if_there_is_a_list,
                a_job_is_found_by_its_message_if_there_is_a_list,
                it_answers,
            }
            identities {
                identities_that_differ_in_one_part_never_meet,
                an_empty_source_is_no_source,
                an_id_that_looks_like_a_key_is_an_id,
                jobs_of_one_id_are_listed_newest_first_and_bounded,
                a_duplicate_is_done_and_shows_what_it_duplicates,
                another_message_of_the_identity_has_its_own_budget,
            }
            forgetting {
                a_done_job_that_is_forgotten_runs_again,
                only_what_is_done_is_forgotten,
            }
            documents {
                a_document_changes_only_for_those_who_have_read_it,
                documents_are_listed_newest_first,
                a_document_is_forgotten_in_time,
                documents_are_bounded,
            }
            tokens {
                a_bucket_gives_its_burst_and_then_its_rate,
                a_bucket_fills_up_to_its_burst,
                a_lease_is_at_most_what_was_asked_for,
                a_bucket_that_is_empty_says_when_to_ask_again,
                processes_share_a_bucket,
                buckets_are_counted_apart,
                the_lowest_and_the_highest_rates_are_kept,
                another_rule_counts_within_seconds,
                a_lease_whose_answer_is_lost_takes_tokens_at_most,
            }
            values {
                large_values_fit,
                odd_keys_are_keys_of_their_own,
                empty_texts_are_texts,
            }
        }
        $crate::conformance_cases! { run_on_threads, $subject;
            races {
                one_of_fifty_claimers_is_granted,
                one_of_fifty_heirs_is_granted,
                one_of_fifty_keys_gets_the_lock,
                keys_do_not_hinder_each_other,
                one_of_fifty_writers_changes_a_document,
                writers_of_different_documents_do_not_hinder_each_other,
                fifty_lessees_get_the_burst_together,
            }
        }
    };
}

/// Runs cases of the suite as tests.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($run:ident, $subject:expr; $($group:ident { $($case:ident,)* })*) => {
        $($(
            #[test]
            fn $case() {
                $crate::conformance::$run($subject, $crate::conformance::cases::$group::$case);
            }
        )*)*
    };
}

/// Asserts that a claim's result is of this kind.
#[doc(hidden)]
#[macro_export]
macro_rules! assert_claim_result {
    ($admission:expr, $kind:pat $(if $guard:expr)?) => {{
        let admission = &$admission;
        assert!(matches!(admission, $kind $(if $guard)?), "{admission:?}");
    }};
}
