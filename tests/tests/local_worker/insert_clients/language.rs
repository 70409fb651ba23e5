//! The languages: their clients are generated, checked and compiled once for all tests, and their programs run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use drumline_contract::clients;
use drumline_tests::{Launch, REGION, shared_store};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::vectors::vectors_contract;

/// The compiler's options: stricter than most projects'.
const TSCONFIG: &str = r#"{ "compilerOptions": { "strict": true, "noUncheckedIndexedAccess": true, "exactOptionalPropertyTypes": true,
    "noUnusedLocals": true, "noUnusedParameters": true, "noImplicitReturns": true, "noPropertyAccessFromIndexSignature": true,
    "target": "ES2022", "module": "nodenext", "types": ["node"], "skipLibCheck": true, "outDir": "out" }, "include": ["*.ts"] }"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    TypeScript,
}

/// The clients of a language, ready for use.
pub(super) struct Programs {
    pub(super) language: Language,
    folder: PathBuf,
    interpreter: PathBuf,
}

impl Language {
    /// Returns its clients and programs, which pass the type checks. `None`, with a message, if the language is not installed.
    pub(super) async fn programs(self) -> Option<&'static Programs> {
        static PYTHON: OnceCell<Option<Programs>> = OnceCell::const_new();
        static TYPESCRIPT: OnceCell<Option<Programs>> = OnceCell::const_new();
        match self {
            Self::Python => PYTHON.get_or_init(python).await.as_ref(),
            Self::TypeScript => TYPESCRIPT.get_or_init(typescript).await.as_ref(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::TypeScript => "typescript",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Python => "py",
            Self::TypeScript => "ts",
        }
    }

    /// Returns the way in which a program allows a field.
    pub(super) fn allowing(self) -> &'static str {
        match self {
            Self::Python => "pass Guards(allow=[",
            Self::TypeScript => "pass new Guards({ allow: [",
        }
    }

    fn generator(self) -> clients::Language {
        match self {
            Self::Python => clients::Language::Python,
            Self::TypeScript => clients::Language::TypeScript,
        }
    }
}

async fn python() -> Option<Programs> {
    let interpreter = PathBuf::from(shared_store("DRUMLINE_TEST_PYTHON")?);
    let folder = made(Language::Python).await;
    let mut mypy = Command::new(&interpreter);
    // The oldest version that this mypy knows.
    mypy.args(["-m", "mypy", "--strict", "--python-version", "3.10", "."]).current_dir(&folder);
    succeeds("mypy", &mut mypy).await;
    Some(Programs { language: Language::Python, folder, interpreter })
}

async fn typescript() -> Option<Programs> {
    let packages = PathBuf::from(shared_store("DRUMLINE_TEST_NODE")?).join("node_modules");
    let folder = made(Language::TypeScript).await;
    std::os::unix::fs::symlink(&packages, folder.join("node_modules")).unwrap();
    fs::write(folder.join("package.json"), r#"{ "type": "module" }"#).unwrap();
    fs::write(folder.join("tsconfig.json"), TSCONFIG).unwrap();
    let mut tsc = Command::new("node");
    tsc.arg(packages.join("typescript/bin/tsc")).arg("--project").arg(&folder);
    succeeds("tsc", &mut tsc).await;
    Some(Programs { language: Language::TypeScript, folder: folder.join("out"), interpreter: "node".into() })
}

async fn succeeds(name: &str, command: &mut Command) {
    let output = command.output().await.unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}:\n{text}");
}

/// A folder with the programs and the clients that they use.
async fn made(language: Language) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("insert_clients").join(language.name());
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    for name in ["typed", "driver"] {
        let name = format!("{name}.{}", language.ending());
        fs::copy(programs.join(&name), folder.join(&name)).unwrap();
    }
    let contract = programs.join("contract.json").display().to_string();
    for (name, contract) in [("orders", Some(&*contract)), ("samples", None)] {
        let file = folder.join(format!("{name}.{}", language.ending())).display().to_string();
        let mut arguments = vec!["schema", "client", language.name(), "--output", &file];
        arguments.extend(contract);
        let finished = Launch::new(&arguments).finish().await;
        assert_eq!(finished.status, Some(0), "{}", finished.errors());
    }
    let vectors = language.generator().client(&vectors_contract(), "a test").unwrap();
    assert_eq!(vectors.unchecked, Vec::<String>::new());
    fs::write(folder.join(format!("vectors.{}", language.ending())), vectors.text).unwrap();
    folder
}

impl Programs {
    fn command(&self, program: &str) -> Command {
        let ending = if self.language == Language::Python { "py" } else { "js" };
        let mut command = Command::new(&self.interpreter);
        command.arg(format!("{program}.{ending}")).current_dir(&self.folder).kill_on_drop(true);
        let settings = [
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
        ];
        command.envs(settings).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program of typed jobs on a queue. Returns its output.
    pub(super) async fn typed(&self, endpoint: &str, queue_url: &str) -> Value {
        let mut command = self.command("typed");
        finish(command.arg(queue_url).env("AWS_ENDPOINT_URL_SQS", endpoint), &Value::Null).await
    }

    /// Makes the driver perform a request. Returns the outcome.
    pub(super) async fn drive(&self, asked: &Value) -> Value {
        let asked =
            if self.language == Language::TypeScript { with_big_integers(asked) } else { asked.clone() };
        finish(&mut self.command("driver"), &asked).await
    }
}

async fn finish(command: &mut Command, input: &Value) -> Value {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_string();
    let write = async move { drop(stdin.write_all(input.as_bytes()).await) };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{errors}", output.stdout))
}

/// Marks the integers that JavaScript's parser would round.
fn with_big_integers(value: &Value) -> Value {
    match value {
        Value::Number(number)
            if number.as_i128().is_some_and(|integer| integer.unsigned_abs() >= 1 << 53) =>
        {
            serde_json::json!({ "$integer": number.to_string() })
        }
        Value::Array(items) => items.iter().map(with_big_integers).collect(),
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(name, inner)| (name.clone(), with_big_integers(inner))).collect(),
        ),
        other => other.clone(),
    }
}
