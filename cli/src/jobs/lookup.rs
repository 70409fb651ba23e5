//! One job by its id: which one is meant, whom to ask, and why there may be nothing to show.

use drumline_consumer::ExitError;
use drumline_consumer::job_view::{self, JobFilter, JobView};
use drumline_runtime::Environment;

use crate::job_lookup::{Histories, HistorySettings};
use crate::settings_args::SettingsArgs;

/// Who is asked. Paragraphs are lines, since a terminal is as wide as it is.
pub(super) const WHO_IS_ASKED: &str = "\
It asks the store of DRUMLINE_STORE_URL. Where that is memory:, what is known is in the worker's memory, and the worker at \
DRUMLINE_HTTP_ADDR is asked: on this machine by default. No queue has to be named.\n\n\
An id is the jobId of the body, else the id of its event, else the message's id (`{program} send` gives a jobId). A message's id \
finds also a job that has another id, with file: always, with memory: and postgres: among the 1000 jobs that changed last. Jobs in \
different queues, of different types, or from different sources may share an id: the one that changed last is shown, and \
the others are listed.";

/// A job that is looked up.
#[derive(Debug, clap::Args)]
pub(super) struct JobArgs {
    /// The job's id, or its message's
    id: String,
    /// Of several jobs with this id, the one in this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Of several jobs with this id, the one of this source
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Of several jobs with this id, the one of this type
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Option<String>,
    #[command(flatten)]
    settings: SettingsArgs<HistorySettings>,
}

impl JobArgs {
    /// Returns the id and the filter of the job that is meant, and the histories to ask.
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

/// Returns the reason for which there is nothing to show: the filter, or an id that nothing is known of.
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
