//! Runs the behaviour of every store over all stores: `cargo test -p drumline-store --all-features`, with `-- redis::` for one
//! store.
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
//! Tests of a store whose variable is missing are skipped, and print a note. Memory needs no variable, and its clock is paused.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]
#![allow(unreachable_pub, reason = "a test has no users outside")]
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

#[cfg(feature = "dynamodb")]
mod dynamodb_only;
#[cfg(feature = "file")]
mod file_only;
#[cfg(any(feature = "redis", feature = "postgres", feature = "dynamodb"))]
mod old_format;
#[cfg(any(feature = "redis", feature = "postgres", feature = "dynamodb"))]
mod old_records;
#[cfg(any(feature = "redis", feature = "postgres", feature = "dynamodb"))]
mod outages;
mod outboxes;
#[cfg(feature = "postgres")]
mod postgres_only;
#[cfg(feature = "postgres")]
mod postgres_outbox;
#[cfg(feature = "postgres")]
mod postgres_outbox_locks;
#[cfg(feature = "postgres")]
mod postgres_outbox_rights;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod proxy;
#[cfg(feature = "redis")]
mod redis_outbox;
#[cfg(any(feature = "redis", feature = "postgres", feature = "dynamodb"))]
mod servers;
mod world;

/// Runs a behaviour over a store as a test.
macro_rules! over {
    ($store:ident: $($group:ident { $($behaviour:ident,)* })*) => {
        $($(
            #[test]
            fn $behaviour() {
                $crate::world::run($crate::world::Kind::$store, $crate::$group::$behaviour);
            }
        )*)*
    };
}

/// The behaviours of the stores that can contain data of version 0.1.
#[cfg(any(feature = "redis", feature = "postgres", feature = "dynamodb"))]
macro_rules! old_records {
    ($store:ident) => {
        over! { $store:
            old_records {
                an_old_done_job_answers_with_its_run,
                an_old_running_job_is_held_until_it_expires,
                an_old_verdict_is_about_its_message,
                an_old_waiting_job_continues_where_it_was,
                an_old_record_of_another_queue_type_or_payload_is_ignored,
                what_an_old_worker_does_beside_a_new_one_counts,
                an_old_record_may_be_of_another_source,
                an_old_record_does_not_count_if_none_is_asked_for,
                an_old_record_does_not_count_after_its_time,
                old_records_are_shown_among_the_jobs,
                an_old_job_with_another_key_is_found_by_its_job_id,
                old_workers_continue_after_new_ones,
            }
        }
    };
}

mod memory {
    drumline_store::conformance!(crate::world::subject(crate::world::Kind::Memory));

    mod outbox {
        drumline_store::outbox_conformance!(crate::outboxes::subject(crate::world::Kind::Memory));
    }
}

#[cfg(feature = "file")]
mod file {
    drumline_store::conformance!(crate::world::subject(crate::world::Kind::File));
    over! { File:
        file_only {
            a_kill_loses_nothing_that_was_answered,
            a_new_file_is_its_owners_alone,
            a_file_that_cannot_be_opened_is_named_with_what_to_do,
            a_file_that_stays_locked_fails_calls_until_it_is_free,
            expired_rows_are_removed,
            a_file_that_was_made_before_documents_gets_their_table,
            a_record_of_a_newer_version_is_not_overwritten_or_run,
            a_name_that_means_something_to_sqlite_is_a_file,
        }
    }
}

#[cfg(feature = "redis")]
mod redis {
    drumline_store::conformance!(crate::world::subject(crate::world::Kind::Redis));

    mod outbox {
        drumline_store::outbox_conformance!(crate::outboxes::subject(crate::world::Kind::Redis));
    }
    old_records!(Redis);
    over! { Redis:
        old_records { locks_are_held_against_workers_of_both_versions, }
        proxy { every_call_is_one_round_trip, }
        outages {
            a_server_that_is_not_there_is_unavailable,
            a_server_that_does_not_answer_is_unavailable,
            after_another_server_on_its_port_the_right_one_is_used,
            calls_fail_during_an_outage_and_work_afterwards,
            a_claim_survives_a_restart,
        }
        redis_outbox {
            jobs_survive_kills_of_the_server,
            a_full_server_refuses_new_jobs_and_is_emptied,
            a_server_that_evicts_jobs_is_refused,
            a_node_of_a_cluster_has_all_keys,
            a_job_may_be_added_again_once_it_is_kept_no_more,
            tokens_grow_although_the_server_has_missed_some,
            jobs_that_cannot_be_read_hold_up_no_others,
            a_job_that_a_relay_of_an_earlier_version_has_is_not_replaced,
            the_work_of_a_call_is_bounded,
        }
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    #[test]
    #[ignore = "a measurement, which shows its figures with --nocapture"]
    fn rows_per_second() {
        crate::world::run(crate::world::Kind::Postgres, crate::postgres_outbox::rows_per_second);
    }

    drumline_store::conformance!(crate::world::subject(crate::world::Kind::Postgres));
    mod outbox {
        drumline_store::outbox_conformance!(crate::outboxes::subject(crate::world::Kind::Postgres));
    }
    old_records!(Postgres);
    over! { Postgres:
        old_records { locks_are_held_against_workers_of_both_versions, }
        proxy { every_call_is_one_round_trip, }
        outages {
            a_server_that_is_not_there_is_unavailable,
            a_server_that_does_not_answer_is_unavailable,
            after_another_server_on_its_port_the_right_one_is_used,
            calls_fail_during_an_outage_and_work_afterwards,
            a_claim_survives_a_restart,
        }
        postgres_only {
            a_transaction_has_the_effect_and_the_mark,
            a_transaction_of_a_lost_claim_leaves_nothing,
            a_transaction_of_a_batch_has_all_effects_and_marks_or_none,
            a_transaction_that_is_dropped_leaves_nothing,
            a_claim_is_renewed_while_its_transaction_is_open,
            transactions_do_not_use_up_the_connections,
            a_transaction_of_ones_own_has_the_mark_too,
            tables_are_made_once_by_all_who_start_at_once,
            a_database_of_version_0_1_gets_the_new_tables,
            a_database_of_version_2_gets_the_new_functions,
            a_database_of_version_3_runs_jobs_and_gets_documents,
            a_database_of_version_4_runs_jobs_and_gets_tokens,
            a_role_without_rights_gets_along_with_tables_that_are_there,
            expired_rows_are_removed,
            urls_are_checked,
        }
        postgres_outbox {
            a_transaction_that_commits_late_is_not_passed_over,
            rows_of_a_transaction_that_is_rolled_back_are_never_seen,
            plain_sql_needs_a_type_and_a_payload_only,
            plain_sql_is_refused_at_once_and_stops_no_relay,
            relays_share_the_buckets,
            a_bucket_with_jobs_in_hand_changes_its_relay_afterwards,
            conclusions_of_a_former_owner_are_refused,
            jobs_of_two_kinds_do_not_starve_each_other,
            a_group_of_both_kinds_is_taken_in_its_order,
            a_take_has_a_bounded_number_of_a_group,
            the_lag_counts_what_was_put_back,
            a_listener_that_lost_its_connection_listens_again,
            a_mark_and_the_next_jobs_are_made_together,
        }
        postgres_outbox_locks {
            a_locked_row_holds_up_no_conclusion_of_another,
            a_conclusion_delayed_by_a_lock_is_void_under_an_old_token,
            a_bucket_that_changes_its_owner_is_not_concluded_meanwhile,
            too_many_locked_rows_are_an_error,
            a_locked_unique_job_holds_up_its_group_only,
            a_migration_waits_for_no_open_transaction,
            a_huge_job_is_parked_and_not_read,
        }
        postgres_outbox_rights {
            a_role_without_rights_gets_a_remedy,
            a_store_without_an_outbox_works_as_before,
        }
    }
}

#[cfg(feature = "dynamodb")]
mod dynamodb {
    drumline_store::conformance!(crate::world::subject(crate::world::Kind::DynamoDb));
    old_records!(DynamoDb);
    over! { DynamoDb:
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
