//! The parts of end-to-end tests: queues on LocalStack and in the test itself, the `drumline` and `drumline-lambda` binaries as
//! processes, Lambda's Runtime API and events, an application for forward mode, and a proxy that makes SQS fail.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod alarms;
mod app;
mod aws_api;
mod binary;
mod book;
mod browser;
mod collector;
mod connect_proxy;
mod deployed;
mod emf;
mod eventually;
mod held_object;
mod http;
mod lambda_process;
mod local_queue;
mod mail_server;
mod model_queue;
mod output;
mod proxy;
mod queues;
mod redis_commands;
mod runtime_api;
#[cfg(test)]
mod runtime_api_tests;
mod sqs_event;
mod stack;
mod stores;
mod table_stack;
mod walkthrough;
mod worker;

pub use alarms::{AlarmMetric, alarm_metrics, alarms_of_stack};
pub use app::{Answer, App, Call, Ended};
pub use aws_api::{bucket_setting, create_bucket, objects, put, report_object};
pub use binary::binary;
pub use browser::Browser;
pub use collector::{CollectedRequest, CollectedSpan, Collector};
pub use connect_proxy::{ConnectProxy, Tunnel};
pub use deployed::{DeployedFunction, Deployment, can_deploy, upload_function_forwarding_to};
pub use emf::{EmfMetric, emf_metrics, emf_sum};
pub use eventually::{PATIENCE, eventually, eventually_within};
pub use held_object::HeldObject;
pub use http::{get, get_as, post, status_of};
pub use lambda_process::{FunctionLaunch, FunctionProcess};
pub use local_queue::LocalQueue;
pub use mail_server::MailServer;
pub use model_queue::{ModelQueue, Requests};
pub use proxy::{EVERY_ACTION, Fault, Proxy};
pub use queues::{Counts, REGION, Setup, TestQueue, client, localstack};
pub use redis_commands::redis_command;
pub use runtime_api::{Answered, End, FUNCTION_ARN, InitError, Invocation, Pending, RuntimeApi};
pub use rustix::process::Signal;
pub use sqs_event::{HAND_MADE_QUEUE, Record, ids, md5, sqs_event};
pub use stack::{Stack, publish, publish_typed, put_event, rule_before, subscribe, topic_before};
pub use stores::{StoreServer, create_table, shared_store};
pub use table_stack::TableStack;
pub use walkthrough::{Walkthrough, examples_folder};
pub use worker::{Finished, Launch, Worker, free_address};
