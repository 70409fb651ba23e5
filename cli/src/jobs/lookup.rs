//! Looks up one job by its id: selects the job, the place to ask, and the error if there is nothing to show.

use drumline_consumer::ExitError;
use drumline_consumer::job_view::{self, JobFilter, JobView};
use drumline_runtime::Environment;

use crate::job_lookup::{Histories, HistorySettings};
use crate::settings_args::SettingsArgs;

/// Help about the place that is asked. Paragraphs are single lines, because the width of the terminal is not known.
pub(super) const WHO_IS_ASKED: &str = "\
The command asks the store of DRUMLINE_STORE_URL. With memory:, histories are in the worker's memory, so the command asks the worker at \
DRUMLINE_HTTP_ADDR, by default on this machine. The command needs no queue.\n\n\
The id of a job is the jobId in its body, otherwise the id of its event, otherwise the message's id (`{program} send` sets a jobId). If \
the job's id is not the message's id, you can still give the message's id: file: always finds the job, memory: and postgres: find it among \
the 1000 jobs that changed last. Jobs in different queues, of different types, or from different sources may share an id: the command \
shows the one that changed last and lists the others.";

/// The job to look up.
#[derive(Debug, clap::Args)]
pub(super) struct JobArgs {
    /// The id of the job or of its message
    id: String,
    /// Only the job in this queue, if several have the id
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Only the job from this source, if several have the id
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Only the job of this type, if several have the id
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Option<String>,
    #[command(flatten)]
    settings: SettingsArgs<HistorySettings>,
}

impl JobArgs {
    /// Returns the id and the filter of the job, and the histories to ask.
    pub(super) async fn open(
        &self,
        environment: &Environment,
    ) -> Result<(&str, JobFilter, Histories), ExitError> {
        let filter = JobFilter {
            queue: self.queue.clone(),
            job_type: self.job_type.clone(),
            source: self.source.clone(),
            ..JobFilter::default()
        };
        if self.id.is_empty() {
            return Err(ExitError::usage("the job's id is empty"));
        }
        let settings = self.settings.read_for_tool(environment)?;
        Ok((&self.id, filter, Histories::open(&settings).await?))
    }
}

/// Returns the error for a job that is not known, or that the filter excludes.
pub(super) async fn unknown(id: &str, filter: &JobFilter, histories: &Histories) -> ExitError {
    if *filter != JobFilter::default()
        && let Ok(Some(JobView { job, others, .. })) = histories.job(id, &JobFilter::default()).await
    {
        let known = |name: &str, text: Option<&str>| text.map(|text| format!("{name} {text}"));
        let facts = [
            known("queue", job_view::queue(&job)),
            known("type", job_view::job_type(&job)),
            known("source", job.source.as_deref()),
        ];
        let facts = facts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let more = if others.is_empty() { String::new() } else { format!(", and {} more", others.len()) };
        return ExitError::other(format!(
            "the job {id} is known, but not with this --queue, --type or --source: there is one of {facts}{more}"
        ));
    }
    ExitError::other(format!(
        "{} knows nothing of the job {id}: no worker has begun it, it was forgotten meanwhile, or its id is another one",
        histories.name()
    ))
}
