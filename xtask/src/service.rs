//! The services that tests use, one module each: `prepare` finds or installs it, `start` starts it and returns it when it is
//! ready, `env` returns the variables for the tests, and dropping stops it. All listen on loopback, on free ports.
//!
//! | variable | value |
//! |---|---|
//! | `DRUMLINE_TEST_LOCALSTACK` | `http://127.0.0.1:PORT` |
//! | `DRUMLINE_TEST_LAMBDA` | `1` if LocalStack runs functions |
//! | `DRUMLINE_TEST_REDIS` | `redis://127.0.0.1:PORT` |
//! | `DRUMLINE_TEST_REDIS_SERVER` | the program `redis-server` or `valkey-server` |
//! | `DRUMLINE_TEST_POSTGRES` | `postgres://USER@127.0.0.1:PORT/DATABASE` |
//! | `DRUMLINE_TEST_POSTGRES_BIN` | the folder with the programs `initdb` and `postgres` |
//! | `DRUMLINE_TEST_POSTGRES_AS` | `UID:GID`, the account for these two programs, if the tests run as root |
//! | `DRUMLINE_TEST_DYNAMODB` | `http://127.0.0.1:PORT` |
//! | `DRUMLINE_TEST_PYTHON` | a Python with boto3 and mypy |
//! | `DRUMLINE_TEST_NODE` | the folder whose `node_modules` contains AWS's SDK and TypeScript, if the machine has Node.js |
//!
//! With the programs, tests start their own servers, to kill and restart them. The variables of programs are not set if Docker
//! provides the server, because then nothing can be started on the machine.

mod aws;
pub mod clients;
mod docker;
mod dynamodb;
pub mod lasting;
pub mod localstack;
pub mod peers;
mod pins;
mod postgres;
mod programs;
mod redis;
mod server;
