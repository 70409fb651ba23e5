//! The peers that tests talk to, one module each: `prepare` finds or installs what it runs on, `start` brings it up and
//! returns it ready, its `env` tells the tests where it is, dropping it stops it. All listen on loopback, on free ports.
//!
//! | variable | value |
//! |---|---|
//! | `DRUMLINE_TEST_LOCALSTACK` | `http://127.0.0.1:PORT` |
//! | `DRUMLINE_TEST_LAMBDA` | `1` where LocalStack runs functions |
//! | `DRUMLINE_TEST_REDIS` | `redis://127.0.0.1:PORT` |
//! | `DRUMLINE_TEST_REDIS_SERVER` | the program `redis-server` or `valkey-server` |
//! | `DRUMLINE_TEST_POSTGRES` | `postgres://USER@127.0.0.1:PORT/DATABASE` |
//! | `DRUMLINE_TEST_POSTGRES_BIN` | the folder with the programs `initdb` and `postgres` |
//! | `DRUMLINE_TEST_POSTGRES_AS` | `UID:GID`, the account that these two have to run as, where the tests' own is root |
//! | `DRUMLINE_TEST_DYNAMODB` | `http://127.0.0.1:PORT` |
//! | `DRUMLINE_TEST_PYTHON` | a Python with boto3 and mypy |
//! | `DRUMLINE_TEST_NODE` | the folder whose `node_modules` has AWS's SDK and TypeScript, where the machine has Node.js |
//!
//! By the programs, tests start servers of their own, to kill and restart them in mid-run. They are not told where Docker
//! provides the server: nothing on the machine could be started.

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
