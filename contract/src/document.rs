//! The contract as a document: the job types of a program with the schemas of their payloads.

use std::fmt;

use drumline::Router;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The format of the document that this crate writes and reads.
pub const FORMAT: &str = "contract/1";

/// The job types that a program handles, in the order of their names: the output of `drumline schema`.
///
/// As JSON it is
///
/// ```json
/// {"drumline":"contract/1","types":[
///   {"type":"email.send","version":2,"versions":[{"version":1,"schema":{}},{"version":2,"schema":{}}]}
/// ]}
/// ```
///
/// `version` is the version that producers write, and `versions` are those that workers read, the oldest first. A version
/// without a schema has `"schema":null`. Unknown fields are ignored, because later releases may add some.
///
/// ```
/// use drumline::{Context, Failure, Job, Router};
/// use drumline_contract::Contract;
/// use serde_json::{Value, json};
///
/// #[derive(serde::Deserialize)]
/// struct Welcome {}
///
/// impl Job for Welcome {
///     const TYPE: &'static str = "welcome";
///
///     fn schema(_: u32) -> Option<Value> {
///         Some(json!({ "type": "object" }))
///     }
/// }
///
/// async fn welcome(_: Context, _: Welcome) -> Result<(), Failure> {
///     Ok(())
/// }
///
/// let contract = Contract::of(&Router::new().handle(welcome));
/// let json = serde_json::to_string(&contract)?;
/// assert_eq!(Contract::parse(json.as_bytes())?, contract);
/// assert!(contract.find("welcome").is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contract {
    types: Vec<TypeContract>,
}

/// A job type, and the versions of its payload that workers read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TypeContract {
    /// The `type` of the envelope.
    #[serde(rename = "type")]
    pub name: String,
    /// The version that producers write.
    pub version: u32,
    /// The versions that workers read, the oldest first; among them [`version`](Self::version).
    pub versions: Vec<VersionContract>,
}

/// A version of a job type's payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VersionContract {
    /// The `schemaVersion` of the envelope.
    pub version: u32,
    /// The JSON Schema of the payload, if the type has one.
    pub schema: Option<Value>,
}

/// The reason why a document is not a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidContract(String);

impl fmt::Display for InvalidContract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidContract {}

/// Returns a text without the byte order mark that some editors and shells write before UTF-8.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

/// The document as it is written.
#[derive(Serialize, Deserialize)]
struct Written<T> {
    drumline: String,
    types: T,
}

impl Contract {
    /// Returns the contract of a router's handlers. A router that forwards messages unchanged has no types.
    pub fn of(router: &Router) -> Self {
        let version_of = |job_type: &drumline::run::JobType, version: u32| VersionContract {
            version,
            schema: job_type.schema(version),
        };
        let types = router.job_types().map(|job_type| TypeContract {
            name: job_type.name.to_string(),
            version: job_type.version,
            versions: job_type.versions().map(|version| version_of(job_type, version)).collect(),
        });
        Self { types: types.collect() }
    }

    /// Reads a document as `drumline schema` prints it.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not a contract, or has the format of another release.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidContract> {
        let invalid = |error: serde_json::Error| {
            InvalidContract(format!("it is no contract, as `drumline schema` prints it: {error}"))
        };
        // A contract nests as deep as its schemas, and anything nested deeper than serde_json reads is not a payload's schema.
        let document: Value = serde_json::from_slice(without_mark(json)).map_err(invalid)?;
        Self::from_document(document)
    }

    fn from_document(document: Value) -> Result<Self, InvalidContract> {
        match document.get("drumline").and_then(Value::as_str) {
            Some(FORMAT) => {}
            Some(other) if other.starts_with("contract/") => {
                return Err(InvalidContract(format!(
                    "its format is {other:?}, and this program reads {FORMAT:?}: print it again with this program's `schema`, or \
                     use the release that wrote it"
                )));
            }
            _ => {
                return Err(InvalidContract(format!(
                    "it is no contract, as `drumline schema` prints it: it does not begin with \"drumline\":{FORMAT:?}"
                )));
            }
        }
        let written: Written<Vec<TypeContract>> = serde_json::from_value(document)
            .map_err(|error| InvalidContract(format!("it is no sound contract: {error}")))?;
        Self::checked(written.types)
    }

    /// Sorts types and versions, and refuses contracts that no program prints.
    fn checked(mut types: Vec<TypeContract>) -> Result<Self, InvalidContract> {
        types.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(twice) = types.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(InvalidContract(format!("it has the type {:?} twice", twice[0].name)));
        }
        for of in &mut types {
            of.versions.sort_by_key(|version| version.version);
        }
        let contract = Self { types };
        contract.check()?;
        Ok(contract)
    }

    /// Checks the types that a program declares, like reading the document does.
    ///
    /// # Errors
    ///
    /// Returns an error if a schema is not valid, or the versions are inconsistent.
    pub fn check(&self) -> Result<(), InvalidContract> {
        for of in &self.types {
            let problem = |text: String| Err(InvalidContract(format!("type {:?}: {text}", of.name)));
            if let Some(twice) = of.versions.windows(2).find(|pair| pair[0].version == pair[1].version) {
                return problem(format!("it has the version {} twice", twice[0].version));
            }
            if of.versions.last().is_none_or(|newest| newest.version != of.version) {
                return problem(format!("the newest of `versions` must be its version {}", of.version));
            }
            for VersionContract { version, schema } in &of.versions {
                let built = schema.as_ref().map(|schema| jsonschema::options().offline().build(schema));
                if let Some(Err(error)) = built {
                    return problem(format!("the schema of version {version} is not valid: {error}"));
                }
            }
        }
        Ok(())
    }

    /// Returns the job types in the order of their names.
    pub fn types(&self) -> &[TypeContract] {
        &self.types
    }

    /// Returns the job type of this name.
    pub fn find(&self, name: &str) -> Option<&TypeContract> {
        self.types.iter().find(|of| of.name == name)
    }

    /// Returns the contract of one job type, or `None` if there is no such type.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<Self> {
        Some(Self { types: vec![self.find(name)?.clone()] })
    }
}

impl TypeContract {
    /// Returns this version of the payload, if workers read it.
    pub fn find(&self, version: u32) -> Option<&VersionContract> {
        self.versions.iter().find(|of| of.version == version)
    }
}

impl Serialize for Contract {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { drumline: FORMAT.to_owned(), types: &self.types }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Contract {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_document(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline::{Context, Job, Upcaster};
    use serde_json::json;

    use super::*;

    #[derive(Deserialize)]
    struct Mail {}

    impl Job for Mail {
        const TYPE: &'static str = "mail";
        const VERSION: u32 = 3;
        const UPCASTERS: &'static [Upcaster] = &[Upcaster { from: 2, up: Ok }];

        fn schema(version: u32) -> Option<Value> {
            (version == 3).then(|| json!({ "type": "object", "required": ["to"] }))
        }
    }

    #[derive(Deserialize)]
    struct Audit {}

    impl Job for Audit {
        const TYPE: &'static str = "audit";
    }

    #[test]
    fn a_router_has_a_contract_in_a_fixed_order() {
        let router = Router::new().handle(|_: Context, _: Mail| async { Ok(()) });
        let router = router.handle(|_: Context, _: Audit| async { Ok(()) });
        let contract = Contract::of(&router);
        let text = serde_json::to_string(&contract).unwrap();
        assert_eq!(
            text,
            r#"{"drumline":"contract/1","types":[{"type":"audit","version":1,"versions":[{"version":1,"schema":null}]},{"type":"mail","version":3,"versions":[{"version":2,"schema":null},{"version":3,"schema":{"required":["to"],"type":"object"}}]}]}"#
        );
        assert_eq!(serde_json::from_str::<Contract>(&text).unwrap(), contract);
        assert_eq!(Contract::parse(text.as_bytes()).unwrap(), contract);
        assert_eq!(Contract::parse(format!("\u{feff}{text}").as_bytes()).unwrap(), contract);
        assert_eq!(
            contract.find("mail").unwrap().find(3).unwrap().schema.as_ref().unwrap()["type"],
            "object"
        );
        assert_eq!(contract.only("mail").unwrap().types().len(), 1);
        assert_eq!(contract.only("post"), None);
        assert!(Contract::of(&Router::passthrough(|_| async { Ok(()) })).types().is_empty());
    }

    #[test]
    fn a_document_is_put_in_order_and_may_have_more_fields() {
        let document = json!({ "drumline": "contract/1", "by": "hand", "types": [
            { "type": "b", "version": 2, "versions": [{ "version": 2, "schema": true }, { "version": 1 }], "note": 1 },
            { "type": "a", "version": 1, "versions": [{ "version": 1, "schema": null }] },
        ] });
        let contract: Contract = serde_json::from_value(document).unwrap();
        let names: Vec<_> = contract.types().iter().map(|of| &*of.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(contract.types()[1].versions[0].version, 1);
    }

    #[test]
    fn what_is_no_contract_is_refused_with_the_reason() {
        let types = |types: Value| json!({ "drumline": "contract/1", "types": types }).to_string();
        let table = [
            (String::new(), "no contract"),
            ("{".to_owned(), "no contract"),
            ("[]".to_owned(), "does not begin with \"drumline\":\"contract/1\""),
            (json!({ "openapi": "3.1.0" }).to_string(), "does not begin with"),
            (json!({ "drumline": "contract/2", "types": [] }).to_string(), "its format is \"contract/2\""),
            (json!({ "drumline": "contract/2" }).to_string(), "use the release that wrote it"),
            (json!({ "drumline": "contract/1" }).to_string(), "missing field `types`"),
            (types(json!([{ "type": "a", "version": 1 }])), "missing field `versions`"),
            (types(json!([{ "type": "a", "version": -1, "versions": [] }])), "invalid value"),
            (types(json!([{ "type": "a", "version": 1, "versions": [] }])), "must be its version 1"),
            (
                types(json!([{ "type": "a", "version": 1, "versions": [{ "version": 2 }] }])),
                "must be its version 1",
            ),
            (
                types(
                    json!([{ "type": "a", "version": 1, "versions": [{ "version": 1 }, { "version": 1 }] }]),
                ),
                "the version 1 twice",
            ),
            (
                types(json!([{ "type": "a", "version": 1, "versions": [{ "version": 1, "schema": "x" }] }])),
                "the schema of version 1 is not valid",
            ),
            (
                types(json!([
                    { "type": "a", "version": 1, "versions": [{ "version": 1 }] },
                    { "type": "a", "version": 1, "versions": [{ "version": 1 }] },
                ])),
                "the type \"a\" twice",
            ),
        ];
        for (text, part) in table {
            let error = Contract::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
