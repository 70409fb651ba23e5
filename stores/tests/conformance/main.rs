//! What every store does, run over all of them: `cargo test -p drumline-store --all-features`, with `-- redis::` for one.
//!
//! The servers come from the environment, as `cargo xtask test` sets it:
//!
//! | Variable | Names |
//! | --- | --- |
//! | `DRUMLINE_TEST_REDIS` | a server, `redis://127.0.0.1:PORT` |
//! | `DRUMLINE_TEST_REDIS_SERVER` | the program, for tests that stop their server |
//! | `DRUMLINE_TEST_POSTGRES` | a server, `postgres://USER@127.0.0.1:PORT/DATABASE` |
//! | `DRUMLINE_TEST_POSTGRES_BIN` | the folder of its programs, for tests that stop their server |
//! | `DRUMLINE_TEST_POSTGRES_AS` | whom they run as where the tests are root's, `UID:GID` |
//! | `DRUMLINE_TEST_DYNAMODB` | an endpoint, `http://127.0.0.1:PORT` |
//!
//! Tests of a store whose variable is missing are left out, and say so. Memory needs none, and its clock is paused.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]
#![allow(unreachable_pub, reason = "nobody is outside of a test")]
#![cfg_attr(
    not(all(feature = "redis", feature = "postgres", feature = "dynamodb")),
    allow(
        dead_code,
        unused,
        clippy::unnecessary_wraps,
        clippy::unused_async,
        reason = "the stores that are left out leave something unused"
    )
)]

mod claims;
#[cfg(feature = "dynamodb")]
mod dynamodb_only;
mod fencing;
mod identities;
mod keeping;
mod locks;
#[cfg(any(feature = "redis", feature = "postgres", feature = "dynamodb"))]
mod old_format;
#[cfg(any(feature = "redis", feature = "postgres", feature = "dynamodb"))]
mod old_records;
#[cfg(any(feature = "redis", feature = "postgres", feature = "dynamodb"))]
mod outages;
#[cfg(feature = "postgres")]
mod postgres_only;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod proxy;
mod races;
#[cfg(any(feature = "redis", feature = "postgres", feature = "dynamodb"))]
mod servers;
mod surrenders;
mod takeovers;
mod values;
mod world;

/// Runs a behaviour over a store, as a test.
macro_rules! over {
    ($store:ident on $runtime:ident: $($group:ident { $($behaviour:ident,)* })*) => {
        $($(
            #[test]
            fn $behaviour() {
                $crate::world::run(
                    $crate::world::Kind::$store,
                    $crate::world::Runtime::$runtime,
                    $crate::$group::$behaviour,
                );
            }
        )*)*
    };
}

/// All behaviours that every store has.
macro_rules! conformance {
    ($store:ident, $runtime:ident) => {
        over! { $store on $runtime:
            claims {
                a_free_key_is_granted_and_then_held,
                a_finished_job_answers_with_its_result,
                a_finished_job_may_have_no_result,
                an_expired_claim_is_taken_over_with_a_larger_counter,
                a_surrendered_claim_is_granted_at_once_with_a_larger_counter,
                another_payload_does_not_match_what_runs_or_is_done,
                another_payload_may_follow_what_failed,
                what_is_asked_first_is_answered_first,
            }
            fencing {
                an_owner_that_was_overtaken_writes_nothing,
                an_owner_is_overtaken_by_its_own_process_too,
                an_expired_claim_that_nobody_took_can_be_renewed_and_written_to,
                an_expired_claim_that_nobody_took_can_be_finished,
                nothing_is_written_after_a_surrender,
                nothing_is_written_after_the_end,
                what_is_finished_or_surrendered_twice_is_so_once,
                a_renewal_lasts,
                who_never_had_the_claim_writes_nothing,
            }
            surrenders {
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
                another_message_of_the_job_begins_a_count_of_its_own,
                a_renewed_claim_is_not_left,
            }
            locks {
                a_lock_is_held_against_other_keys,
                a_lock_that_is_held_leaves_nothing_of_the_claim,
                a_lock_is_free_after_the_end,
                a_lock_is_free_after_a_surrender,
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
                it_answers,
            }
            identities {
                identities_that_differ_in_one_part_never_meet,
                an_empty_source_is_no_source,
                an_id_that_looks_like_a_key_is_an_id,
                jobs_of_one_id_are_listed_newest_first_and_bounded,
                a_duplicate_is_done_and_shows_what_it_duplicates,
                another_message_of_the_identity_has_a_budget_of_its_own,
            }
            values {
                large_values_fit,
                odd_keys_are_keys_of_their_own,
                empty_texts_are_texts,
            }
        }
        over! { $store on Threads:
            races {
                one_of_fifty_claimers_is_granted,
                one_of_fifty_heirs_is_granted,
                one_of_fifty_keys_gets_the_lock,
                keys_do_not_hinder_each_other,
            }
        }
    };
}

/// The behaviours of the stores that version 0.1 left something in.
#[cfg(any(feature = "redis", feature = "postgres", feature = "dynamodb"))]
macro_rules! old_records {
    ($store:ident) => {
        over! { $store on Real:
            old_records {
                an_old_done_job_answers_with_its_run,
                an_old_running_job_is_held_until_it_expires,
                an_old_verdict_is_about_its_message,
                an_old_waiting_job_goes_on_where_it_was,
                an_old_record_of_another_queue_type_or_payload_does_not_count,
                what_an_old_worker_does_beside_a_new_one_counts,
                an_old_record_may_be_of_another_source,
                an_old_record_does_not_count_if_none_is_asked_for,
                an_old_record_does_not_count_after_its_time,
                old_records_are_shown_among_the_jobs,
                an_old_job_with_another_key_is_found_by_its_job_id,
                old_workers_go_on_after_new_ones,
            }
        }
    };
}

mod memory {
    conformance!(Memory, Paused);
}

#[cfg(feature = "redis")]
mod redis {
    conformance!(Redis, Real);
    old_records!(Redis);
    over! { Redis on Real:
        old_records { locks_are_held_against_workers_of_both_versions, }
        proxy { every_call_is_one_round_trip, }
        outages {
            a_server_that_is_not_there_is_unavailable,
            a_server_that_does_not_answer_is_unavailable,
            another_server_on_its_port_is_forgotten_once_the_right_one_is_back,
            calls_fail_while_the_server_is_away_and_work_again_afterwards,
            a_claim_survives_a_restart,
        }
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    conformance!(Postgres, Real);
    old_records!(Postgres);
    over! { Postgres on Real:
        old_records { locks_are_held_against_workers_of_both_versions, }
        proxy { every_call_is_one_round_trip, }
        outages {
            a_server_that_is_not_there_is_unavailable,
            a_server_that_does_not_answer_is_unavailable,
            another_server_on_its_port_is_forgotten_once_the_right_one_is_back,
            calls_fail_while_the_server_is_away_and_work_again_afterwards,
            a_claim_survives_a_restart,
        }
        postgres_only {
            a_transaction_has_the_effect_and_the_mark,
            a_transaction_of_a_lost_claim_leaves_nothing,
            a_transaction_that_is_dropped_leaves_nothing,
            a_claim_is_renewed_while_its_transaction_is_open,
            transactions_do_not_use_up_the_connections,
            a_transaction_of_ones_own_has_the_mark_too,
            tables_are_made_once_by_all_who_start_at_once,
            a_database_of_version_0_1_gets_the_new_tables,
            a_database_of_version_2_gets_the_new_functions,
            a_role_without_rights_gets_along_with_tables_that_are_there,
            expired_rows_are_removed,
            urls_are_checked,
        }
    }
}

#[cfg(feature = "dynamodb")]
mod dynamodb {
    conformance!(DynamoDb, Real);
    old_records!(DynamoDb);
    over! { DynamoDb on Real:
        outages {
            a_server_that_is_not_there_is_unavailable,
            a_server_that_does_not_answer_is_unavailable,
        }
        dynamodb_only {
            items_look_like_those_of_powertools,
            items_that_only_wait_to_be_removed_do_not_count,
            a_table_that_is_missing_is_named,
            urls_are_checked,
        }
    }
}
