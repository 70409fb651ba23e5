//! `image.process`: makes smaller versions of an image, in other formats.

mod colour;
mod decode;
mod encode;
mod outcome;
mod payload;
mod render;
mod size;

use std::num::NonZeroUsize;
use std::sync::Arc;

use drumline::{Context, Failure, Handler};
use tokio::sync::Semaphore;

use crate::settings::{ImageLimits, Settings};
use crate::storage::Storage;
use payload::ImageProcess;
use render::Steps;

/// The handler of `image.process`.
///
/// The source is read and decoded once; each output is made from that. Nothing is written before every output has
/// been made, so that a job that can't succeed leaves nothing behind. A job that runs twice writes the same files
/// twice: there is no other effect.
pub(crate) struct ImageProcessor {
    storage: Arc<Storage>,
    limits: ImageLimits,
    /// Places for decoded images. More of them than processors would not make anything faster; each could cost
    /// hundreds of megabytes.
    decoded: Arc<Semaphore>,
}

impl ImageProcessor {
    pub(crate) fn new(settings: &Settings, storage: Arc<Storage>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self { storage, limits: settings.limits, decoded: Arc::new(Semaphore::new(processors)) }
    }
}

impl Handler<ImageProcess> for ImageProcessor {
    async fn handle(&self, ctx: Context, job: ImageProcess) -> Result<(), Failure> {
        let steps = Steps::of(&ctx, &job.outputs);
        let source = self.storage.read(&ctx, &job.source, self.limits.source_bytes).await?;
        steps.check()?;
        let place = Arc::clone(&self.decoded).acquire_owned().await?;
        let limits = self.limits;
        let (mut steps, images) = ctx
            .blocking(move || {
                let _place = place;
                render::render(steps, &source, job.outputs, limits)
            })
            .await?;
        // Set before anything is written: a result that is refused must not fail images that exist.
        ctx.set_result(&outcome::result(&images))?;
        for (target, image) in images {
            steps.check()?;
            self.storage.write(&ctx, &target.location, image.bytes, image.content_type).await?;
            steps.done();
        }
        Ok(())
    }
}

#[cfg(test)]
mod key_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
#[path = "image/image_tests.rs"]
mod tests;
