//! A function's configuration, and the environment variables derived from it.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::logs::LogSink;
use crate::runtime_api::LONGEST_TIMEOUT;

/// The default memory of a function, in megabytes.
pub const DEFAULT_MEMORY_MB: u32 = 128;

/// The default timeout of a function, which is Lambda's default.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest timeout of a function.
pub const MAX_TIMEOUT: Duration = LONGEST_TIMEOUT;

/// The default name of a function.
const DEFAULT_NAME: &str = "local";

/// The value of fake credentials.
const FAKE_CREDENTIAL: &str = "local";

const DEFAULT_REGION: &str = "us-east-1";

/// The variables through which a process may find AWS credentials.
const CREDENTIALS: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// A reason why a function cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum FunctionProblem {
    /// The file is missing or cannot be read.
    #[error("bootstrap {path}: {error}")]
    Unreadable {
        /// The given path.
        path: PathBuf,
        /// The error of the file system.
        error: io::Error,
    },
    /// The path is not a file.
    #[error("bootstrap {path} is not a file")]
    NotAFile {
        /// The given path.
        path: PathBuf,
    },
    /// The file is not executable.
    #[error("bootstrap {path} is not executable; run `chmod +x {path}`, or build the function first")]
    NotExecutable {
        /// The given path.
        path: PathBuf,
    },
}

/// A function: its program and its configuration.
#[derive(Debug, Clone)]
pub struct Function {
    pub(crate) bootstrap: PathBuf,
    pub(crate) name: String,
    pub(crate) timeout: Duration,
    pub(crate) memory_mb: u32,
    pub(crate) region: String,
    variables: BTreeMap<String, String>,
    pub(crate) logs: LogSink,
    pub(crate) reports: LogSink,
}

impl Function {
    /// Returns a function whose process is this program, with Lambda's defaults: a timeout of 3 s and 128 MB.
    ///
    /// The process inherits the environment of this one, with fake credentials; see [`Function::inherit`].
    pub fn new(bootstrap: impl Into<PathBuf>) -> Self {
        let function = Self {
            bootstrap: bootstrap.into(),
            name: DEFAULT_NAME.to_owned(),
            timeout: DEFAULT_TIMEOUT,
            memory_mb: DEFAULT_MEMORY_MB,
            region: DEFAULT_REGION.to_owned(),
            variables: BTreeMap::new(),
            logs: LogSink::new(|_| {}),
            reports: LogSink::new(|_| {}),
        };
        function.inherit(|_| None)
    }

    /// Sets region and credentials from the variables that `lookup` finds in this process's environment. The defaults are
    /// `us-east-1` and fake credentials.
    pub fn inherit(mut self, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let region = lookup("AWS_REGION").or_else(|| lookup("AWS_DEFAULT_REGION"));
        self.region = region.unwrap_or_else(|| DEFAULT_REGION.to_owned());
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            if CREDENTIALS.iter().any(|name| lookup(name).is_some()) {
                self.variables.remove(name);
            } else {
                self.variables.insert(name.to_owned(), FAKE_CREDENTIAL.to_owned());
            }
        }
        self
    }

    /// Sets the function's name.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Sets the timeout of an invocation, after which the process is killed. It is bounded by [`MAX_TIMEOUT`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(MAX_TIMEOUT);
        self
    }

    /// Sets the memory size that the process sees. It is not enforced.
    pub fn memory_mb(mut self, memory_mb: u32) -> Self {
        self.memory_mb = memory_mb;
        self
    }

    /// Sets a variable of the process's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Passes the lines that the process writes to `sink`.
    pub fn logs(mut self, sink: LogSink) -> Self {
        self.logs = sink;
        self
    }

    /// Passes a line about each invocation to `sink`, in the format of Lambda's `REPORT` line.
    pub fn reports(mut self, sink: LogSink) -> Self {
        self.reports = sink;
        self
    }

    /// Returns true if the process gets fake credentials, with which AWS would refuse every request.
    pub fn has_fake_credentials(&self) -> bool {
        self.variables.get("AWS_ACCESS_KEY_ID").is_some_and(|value| value == FAKE_CREDENTIAL)
    }

    /// Checks that the program exists and is executable.
    pub fn check(&self) -> Result<(), FunctionProblem> {
        let path = self.bootstrap.clone();
        match std::fs::metadata(&path) {
            Err(error) => Err(FunctionProblem::Unreadable { path, error }),
            Ok(file) if !file.is_file() => Err(FunctionProblem::NotAFile { path }),
            Ok(file) if file.permissions().mode() & 0o111 == 0 => {
                Err(FunctionProblem::NotExecutable { path })
            }
            Ok(_) => Ok(()),
        }
    }

    /// Returns the function's ARN, in an account that does not exist.
    pub fn arn(&self) -> String {
        format!("arn:aws:lambda:{}:000000000000:function:{}", self.region, self.name)
    }

    /// Returns the [variables](https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html) that Lambda sets, and
    /// the function's own variables.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let root =
            self.bootstrap.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let (region, memory, root) = (&*self.region, self.memory_mb.to_string(), root.display().to_string());
        let group = format!("/aws/lambda/{}", self.name);
        let of_lambda = [
            ("_HANDLER", "bootstrap"),
            ("AWS_LAMBDA_FUNCTION_NAME", &self.name),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &group),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
            ("AWS_REGION", region),
            ("AWS_DEFAULT_REGION", region),
            ("LAMBDA_TASK_ROOT", &root),
            ("TZ", ":UTC"),
        ];
        let of_lambda = of_lambda.map(|(name, value)| (name.to_owned(), value.to_owned()));
        of_lambda.into_iter().chain(self.variables.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn credentials_are_fake_only_if_there_are_no_others() {
        let alone = Function::new("bootstrap").inherit(|_| None).environment();
        assert_eq!(alone["AWS_ACCESS_KEY_ID"], "local");
        assert_eq!(alone["AWS_REGION"], "us-east-1");
        let has = |name: &'static str| move |asked: &str| (asked == name).then(|| "x".to_owned());
        for name in CREDENTIALS {
            let environment = Function::new("bootstrap").inherit(has(name)).environment();
            assert!(!environment.contains_key("AWS_SECRET_ACCESS_KEY"), "{name}");
        }
        assert_eq!(
            Function::new("bootstrap").inherit(has("AWS_DEFAULT_REGION")).environment()["AWS_REGION"],
            "x"
        );
    }

    #[test]
    fn variables_of_the_function_replace_those_of_lambda() {
        let function = Function::new("bootstrap").name("orders").memory_mb(256).env("TZ", ":Asia/Tokyo");
        let environment = function.environment();
        assert_eq!(environment["AWS_LAMBDA_FUNCTION_NAME"], "orders");
        assert_eq!(environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "256");
        assert_eq!(environment["TZ"], ":Asia/Tokyo");
        assert_eq!(function.arn(), "arn:aws:lambda:us-east-1:000000000000:function:orders");
    }

    #[test]
    fn a_program_that_cannot_be_executed_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bootstrap");
        let problem = |path: &Path| Function::new(path).check().unwrap_err().to_string();
        assert!(problem(&file).contains("No such file"), "{}", problem(&file));
        assert!(problem(folder.path()).contains("is not a file"));
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        assert!(problem(&file).contains("chmod +x"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        Function::new(&file).check().unwrap();
    }
}
