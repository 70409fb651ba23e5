//! Clients that send jobs from other languages: one source file each, generated from a contract.
//!
//! A client file is self-contained: it has the types of the payloads, the checks that a Rust producer makes, packing into
//! batches and retries per entry. Its run-time part is a real source file of its language ([`python.py`], [`typescript.ts`])
//! with an example contract between two marks; the generator replaces the text between the marks.
//!
//! [`python.py`]: https://github.com/drumline/drumline/blob/main/contract/src/clients/python.py
//! [`typescript.ts`]: https://github.com/drumline/drumline/blob/main/contract/src/clients/typescript.ts

mod checked;
mod client_file;
mod endless;
mod literal;
mod names;
mod objects;
mod payloads;
mod python;
mod shape;
mod tables;
mod template;
mod typescript;

use crate::Contract;

pub use checked::with_integer_bounds;
pub use client_file::{Client, NoClient};

/// The language of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Python 3.9 or newer, with boto3.
    Python,
    /// TypeScript for Node.js 20 or newer, with `@aws-sdk/client-sqs`.
    TypeScript,
}

impl Language {
    /// Returns the client for a contract. Its header names `command` as the command that generates it again.
    ///
    /// ```
    /// use drumline_contract::{Contract, clients::Language};
    ///
    /// let contract = Contract::parse(br#"{"drumline":"contract/1","types":[{"type":"email.send","version":1,"versions":[
    ///     {"version":1,"schema":{"type":"object","properties":{"to":{"type":"string"}},"required":["to"]}}]}]}"#)?;
    /// let client = Language::Python.client(&contract, "drumline schema client python contract.json")?;
    /// assert!(client.text.contains("class EmailSendPayload(TypedDict):\n    to: str"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the contract has no types, or a schema refers to something outside itself, or to itself without end.
    pub fn client(self, contract: &Contract, command: &str) -> Result<Client, NoClient> {
        if contract.types().is_empty() {
            return Err(NoClient("the contract has no job types, so there is nothing to send".to_owned()));
        }
        match self {
            Self::Python => python::client(contract, command),
            Self::TypeScript => typescript::client(contract, command),
        }
    }
}

#[cfg(test)]
mod tests;
