//! `image.process`: makes smaller versions of an image, in other formats.

mod colour;
mod cost;
mod decode;
mod deep_png;
mod encode;
mod header;
mod jpeg;
mod memory;
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
use memory::Memory;
use payload::ImageProcess;
use render::Steps;

/// The smallest number of slots for sources, which are read concurrently from a store that may be slow.
const MIN_SOURCES: usize = 16;

/// The handler of `image.process`.
///
/// The source is read and decoded once; each output is made from it. Nothing is written before all outputs are made, so a job
/// that cannot succeed leaves nothing behind. A job that runs twice writes the same files twice: it has no other effect.
pub(crate) struct ImageProcessor {
    storage: Arc<Storage>,
    limits: ImageLimits,
    /// Slots for sources while they are read; each holds one until its images are made.
    sources: Arc<Semaphore>,
    /// Slots for work on pixels. More slots than processors would not be faster.
    decoded: Arc<Semaphore>,
    memory: Memory,
}

impl ImageProcessor {
    pub(crate) fn new(settings: &Settings, storage: Arc<Storage>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            storage,
            limits: settings.limits,
            sources: Arc::new(Semaphore::new(MIN_SOURCES.max(2 * processors))),
            decoded: Arc::new(Semaphore::new(processors)),
            memory: Memory::new(settings.limits.memory),
        }
    }
}

impl Handler<ImageProcess> for ImageProcessor {
    async fn handle(&self, ctx: Context, job: ImageProcess) -> Result<(), Failure> {
        let steps = Steps::of(&ctx, &job.outputs);
        let held = Arc::clone(&self.sources).acquire_owned().await?;
        let source = self.storage.read(&ctx, &job.source, self.limits.source_bytes).await?;
        steps.check()?;
        let limits = self.limits;
        let (source, header) = ctx
            .blocking(move || {
                let header = decode::header(&source, limits)?;
                Ok((source, header))
            })
            .await?;
        render::check(&header, &job.outputs)?;
        let needed = cost::of_job(&header, source.len() as u64, &job.outputs);
        // Memory first, then the slot: a job that cannot begin holds no slot.
        let mut share = self.memory.take(&ctx, needed).await?;
        let place = Arc::clone(&self.decoded).acquire_owned().await?;
        let (mut steps, images, share) = ctx
            .blocking(move || {
                let (_held, _place) = (held, place);
                let (steps, images) = render::render(steps, &source, &header, job.outputs)?;
                share.shrink_to(images.iter().map(|(_, image)| image.bytes.len() as u64).sum());
                Ok((steps, images, share))
            })
            .await?;
        // Set before anything is written: a refused result must not fail images that exist.
        ctx.set_result(&outcome::result(&images))?;
        for (target, image) in images {
            steps.check()?;
            self.storage.write(&ctx, &target.location, image.bytes, image.content_type).await?;
            steps.done();
        }
        drop(share);
        Ok(())
    }
}

#[cfg(test)]
mod key_tests;
#[cfg(test)]
mod memory_figures;
#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
#[path = "image/image_tests.rs"]
mod tests;
