//! From one source to all outputs, on a thread made for blocking work.

use drumline::{Context, Failure, OrReject};
use fast_image_resize::Resizer;
use image::DynamicImage;
use image::metadata::Orientation;

use super::decode::{Source, decode};
use super::encode::{Encoded, encode, same_format};
use super::payload::{Output, Resize};
use super::size::fit_inside;
use crate::location::Target;
use crate::settings::ImageLimits;

/// Counts the operations of a job, tells how far it is, and stops it between two of them where it was cancelled.
///
/// Counted are the decoding, every operation asked for, and the writing of each output.
pub(crate) struct Steps {
    ctx: Context,
    done: u64,
    total: u64,
}

impl Steps {
    pub(crate) fn of(ctx: &Context, outputs: &[Output]) -> Self {
        let total = 1 + outputs.iter().map(|output| output.operations() + 1).sum::<u64>();
        Self { ctx: ctx.clone(), done: 0, total }
    }

    pub(crate) fn done(&mut self) {
        self.done += 1;
        self.ctx.progress(self.done, self.total, "operations");
    }

    /// The host knows why a run was cancelled and answers for it; the wish made here is not what counts.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.ctx.cancel_reason() {
            None => Ok(()),
            Some(reason) => Err(Failure::retry(format_args!(
                "stopped after {} of {} ({reason:?})",
                self.done, self.total
            ))),
        }
    }
}

/// Decodes the source once and makes every output of it.
pub(crate) fn render(
    mut steps: Steps,
    source: &[u8],
    outputs: Vec<Output>,
    limits: ImageLimits,
) -> Result<(Steps, Vec<(Target, Encoded)>), Failure> {
    let source = decode(source, limits)?;
    steps.done();
    // One for all outputs, since it keeps its buffers.
    let mut resizer = Resizer::new();
    let mut rendered = Vec::with_capacity(outputs.len());
    for output in outputs {
        let image = render_one(&mut steps, &mut resizer, &source, &output)?;
        rendered.push((output.target, image));
    }
    Ok((steps, rendered))
}

fn render_one(
    steps: &mut Steps,
    resizer: &mut Resizer,
    source: &Source,
    output: &Output,
) -> Result<Encoded, Failure> {
    steps.check()?;
    let smaller = match output.resize {
        Some(bounds) => {
            let smaller = resize(resizer, source, bounds)?;
            steps.done();
            smaller
        }
        None => None,
    };
    steps.check()?;
    let convert = output.convert.map_or_else(|| same_format(source.format), Ok)?;
    let finished = finish(source, smaller)?;
    let encoded = encode(finished.as_ref().unwrap_or(&source.pixels), convert)?;
    if output.convert.is_some() {
        steps.done();
    }
    Ok(encoded)
}

/// What remains to be done to the pixels once they have their size, since there are fewer of them then: the colours,
/// and the turning. `None` where the source's own pixels are what is wanted.
fn finish(source: &Source, smaller: Option<DynamicImage>) -> Result<Option<DynamicImage>, Failure> {
    let mut finished = smaller;
    if let Some(to_srgb) = &source.to_srgb {
        finished = Some(to_srgb.apply(finished.as_ref().unwrap_or(&source.pixels))?);
    }
    if source.orientation != Orientation::NoTransforms {
        let mut pixels = finished.unwrap_or_else(|| source.pixels.clone());
        pixels.apply_orientation(source.orientation);
        finished = Some(pixels);
    }
    Ok(finished)
}

/// The source, not yet turned, in the size that fits the box once it is; `None` where it fits as it is.
///
/// Colours are weighted by their opacity, so that what is transparent does not bleed into edges.
fn resize(resizer: &mut Resizer, source: &Source, bounds: Resize) -> Result<Option<DynamicImage>, Failure> {
    let stored = (source.pixels.width(), source.pixels.height());
    let size = if lies_on_its_side(source.orientation) {
        swapped(fit_inside(swapped(stored), bounds))
    } else {
        fit_inside(stored, bounds)
    };
    if size == stored {
        return Ok(None);
    }
    let mut smaller = DynamicImage::new(size.0, size.1, source.pixels.color());
    resizer.resize(&source.pixels, &mut smaller, None).or_reject()?;
    Ok(Some(smaller))
}

fn lies_on_its_side(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

fn swapped((width, height): (u32, u32)) -> (u32, u32) {
    (height, width)
}
