//! From one source to all outputs, on a thread made for blocking work.

use drumline::{Context, Failure, OrReject};
use fast_image_resize::{MulDiv, ResizeOptions, Resizer};
use image::DynamicImage;
use image::metadata::Orientation;

use super::decode::{Source, decode};
use super::encode::{Encoded, check_size, encode, same_format};
use super::header::Header;
use super::payload::{Output, Resize};
use super::size::fit_inside;
use crate::location::Target;

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

/// Rejects outputs that cannot be made, before the source is decoded.
pub(crate) fn check(header: &Header, outputs: &[Output]) -> Result<(), Failure> {
    outputs.iter().try_for_each(|output| check_size(size_of(header, output), output.convert))
}

/// Returns the size of an output as stored, not yet turned.
pub(super) fn size_of(header: &Header, output: &Output) -> (u32, u32) {
    let stored = (header.width, header.height);
    output.resize.map_or(stored, |bounds| target_size(stored, header.orientation, bounds))
}

/// Decodes the source once and makes every output of it.
pub(crate) fn render(
    mut steps: Steps,
    bytes: &[u8],
    header: &Header,
    outputs: Vec<Output>,
) -> Result<(Steps, Vec<(Target, Encoded)>), Failure> {
    steps.check()?;
    let mut source = decode(bytes, header)?;
    steps.done();
    let stored = (header.width, header.height);
    // The source's own pixels are wanted first, because they are prepared for resizing in place.
    let mut order: Vec<usize> = (0..outputs.len()).collect();
    order.sort_by_key(|&index| size_of(header, &outputs[index]) != stored);
    // One for all outputs, since it keeps its buffers.
    let mut resizer = Resizer::new();
    let mut is_prepared = false;
    let mut rendered: Vec<Option<Encoded>> = outputs.iter().map(|_| None).collect();
    for index in order {
        let size = size_of(header, &outputs[index]);
        if size != stored && !is_prepared {
            steps.check()?;
            premultiply(&mut source)?;
            is_prepared = true;
        }
        rendered[index] = Some(render_one(&mut steps, &mut resizer, &source, &outputs[index], size)?);
    }
    let targets = outputs.into_iter().map(|output| output.target);
    Ok((steps, targets.zip(rendered.into_iter().flatten()).collect()))
}

fn render_one(
    steps: &mut Steps,
    resizer: &mut Resizer,
    source: &Source,
    output: &Output,
    size: (u32, u32),
) -> Result<Encoded, Failure> {
    steps.check()?;
    let is_resized = size != (source.pixels.width(), source.pixels.height());
    let smaller = if is_resized { Some(resize(resizer, source, size)?) } else { None };
    if output.resize.is_some() {
        steps.done();
    }
    steps.check()?;
    let convert = output.convert.map_or_else(|| same_format(source.format), Ok)?;
    let finished = finish(steps, source, smaller)?;
    steps.check()?;
    let encoded = encode(finished.as_ref().unwrap_or(&source.pixels), convert)?;
    if output.convert.is_some() {
        steps.done();
    }
    Ok(encoded)
}

/// What remains to be done to the pixels once they have their size, since there are fewer of them then: the colours,
/// and the turning. `None` where the source's own pixels are what is wanted.
fn finish(
    steps: &Steps,
    source: &Source,
    smaller: Option<DynamicImage>,
) -> Result<Option<DynamicImage>, Failure> {
    let mut finished = smaller;
    if let Some(to_srgb) = &source.to_srgb {
        finished = Some(to_srgb.apply(finished.as_ref().unwrap_or(&source.pixels))?);
    }
    steps.check()?;
    if source.orientation != Orientation::NoTransforms {
        let mut pixels = finished.unwrap_or_else(|| source.pixels.clone());
        pixels.apply_orientation(source.orientation);
        finished = Some(pixels);
    }
    Ok(finished)
}

/// Weighs colours by their opacity, so that what is transparent does not bleed into edges. It is done in place: the resizer
/// would do it in a copy of the whole source.
fn premultiply(source: &mut Source) -> Result<(), Failure> {
    if source.pixels.color().has_alpha() {
        MulDiv::new().multiply_alpha_inplace(&mut source.pixels).or_reject()?;
    }
    Ok(())
}

/// Returns the source, prepared by [`premultiply`] and not yet turned, in another size.
fn resize(resizer: &mut Resizer, source: &Source, size: (u32, u32)) -> Result<DynamicImage, Failure> {
    let mut smaller = DynamicImage::new(size.0, size.1, source.pixels.color());
    resizer.resize(&source.pixels, &mut smaller, &ResizeOptions::new().use_alpha(false)).or_reject()?;
    if smaller.color().has_alpha() {
        MulDiv::new().divide_alpha_inplace(&mut smaller).or_reject()?;
    }
    Ok(smaller)
}

/// Returns the size of an image as stored, not yet turned, such that it fits the box once it is.
fn target_size(stored: (u32, u32), orientation: Orientation, bounds: Resize) -> (u32, u32) {
    if lies_on_its_side(orientation) {
        swapped(fit_inside(swapped(stored), bounds))
    } else {
        fit_inside(stored, bounds)
    }
}

fn lies_on_its_side(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

fn swapped((width, height): (u32, u32)) -> (u32, u32) {
    (height, width)
}
