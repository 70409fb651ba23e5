//! The program's own handlers: the versions of their types, and the payloads that they would refuse.

use std::collections::HashMap;
use std::sync::Arc;

use drumline::Router;
use drumline::message::{Envelope, Intake, Message};
use drumline::run::Precheck;
use drumline_consumer::ExitError;
use drumline_producer::Outgoing;
use drumline_runtime::{Environment, Service, runtimes};

use super::args::SendArgs;
use super::schemas::Schemas;
use crate::format::note;
use crate::service::make_router;

/// The variable that enables forward mode, in which there are no handlers.
const FORWARD_TO: &str = "DRUMLINE_FORWARD_TO";

/// The version of a payload without a version.
const FIRST_VERSION: u32 = 1;

/// The handlers of the program, if it has any.
pub(super) struct Handlers {
    router: Option<Router>,
    versions: HashMap<String, u32>,
    pub(super) schemas: Schemas,
    intake: Intake,
}

impl Handlers {
    fn of(router: Option<Router>) -> Self {
        let known = router.iter().flat_map(Router::job_types);
        let versions = known.map(|known| (known.name.to_string(), known.version)).collect();
        let schemas = Schemas::of(router.as_ref());
        Self { router, versions, schemas, intake: Intake::default() }
    }

    /// Returns the version of the handler for a type, or the first version if there is no handler.
    pub(super) fn version(&self, job_type: &str) -> u32 {
        self.known_version(job_type).unwrap_or(FIRST_VERSION)
    }

    /// Returns the version of the handler for a type, if there is one.
    pub(super) fn known_version(&self, job_type: &str) -> Option<u32> {
        self.versions.get(job_type).copied()
    }

    /// Refuses a payload that does not match the schema of its type, or that its handler would refuse. A type without a handler
    /// is not checked.
    pub(super) fn check(&self, outgoing: &Outgoing, envelope: &Envelope) -> Result<(), String> {
        let Some(router) = &self.router else { return Ok(()) };
        self.schemas.check(&envelope.job_type, envelope.version, &envelope.payload)?;
        let message = Message {
            body: outgoing.body.clone(),
            attributes: (*outgoing.attributes).clone(),
            receive_count: 1,
            group: outgoing.group.as_deref().map(str::to_owned),
            id: Arc::from("not-sent-yet"),
            ..Message::default()
        };
        match router.precheck(&message, &self.intake) {
            Precheck::Accepted | Precheck::NotChecked(_) => Ok(()),
            Precheck::Refused(reason) => Err(format!("its handler would refuse it: {reason}")),
        }
    }
}

/// Makes the handlers of the program. In forward mode there are none, and with `--no-check` they are needed only for a version.
pub(super) fn handlers(
    args: &SendArgs,
    environment: &Environment,
    service: Service,
    handlers_optional: bool,
) -> Result<Handlers, ExitError> {
    let needs_version = args.schema_version.is_none() && args.job_type.is_some();
    if environment.value(FORWARD_TO).is_some() || (args.no_check && !needs_version) {
        return Ok(Handlers::of(None));
    }
    let (io, handlers) = runtimes()?;
    let router = io.block_on(make_router(service, handlers.handle()));
    handlers.shutdown_background();
    match router {
        Ok(router) => Ok(Handlers::of(Some(router))),
        Err(problem) => {
            if !handlers_optional {
                let version = if needs_version { "schemaVersion is 1, and " } else { "" };
                note(&format!(
                    "{version}jobs are not checked by their handlers, since there are none: {problem}"
                ));
            }
            Ok(Handlers::of(None))
        }
    }
}
