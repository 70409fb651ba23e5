//! Makes all outputs from one source, on a thread for blocking work.

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

/// Counts the operations of a job, reports its progress, and stops it between two operations if it was cancelled.
///
/// It counts the decoding, every requested operation, and the writing of each output.
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

    /// Fails if the run was cancelled. The host knows the reason of a cancellation, so the failure's own kind does not matter.
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

/// Rejects outputs that cannot be made before the source is decoded.
pub(crate) fn check(header: &Header, outputs: &[Output]) -> Result<(), Failure> {
    outputs.iter().try_for_each(|output| check_size(size_of(header, output), output.convert))
}

/// Returns the size of an output in the stored orientation.
pub(super) fn size_of(header: &Header, output: &Output) -> (u32, u32) {
    let stored = (header.width, header.height);
    output.resize.map_or(stored, |bounds| target_size(stored, header.orientation, bounds))
}

/// Decodes the source once and makes every output from it.
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
    // Outputs of the source's own pixels come first, because resizing then prepares the pixels in place.
    let mut order: Vec<usize> = (0..outputs.len()).collect();
    order.sort_by_key(|&index| size_of(header, &outputs[index]) != stored);
    // One resizer for all outputs, because it keeps its buffers.
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

/// Converts the colours and turns the image. This happens after the resize, when there are fewer pixels. Returns `None` if the
/// source's own pixels are the result.
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

/// Weighs colours by their opacity, so that transparent areas do not bleed into edges. This is done in place: the resizer would
/// copy the whole source.
fn premultiply(source: &mut Source) -> Result<(), Failure> {
    if source.pixels.color().has_alpha() {
        MulDiv::new().multiply_alpha_inplace(&mut source.pixels).or_reject()?;
    }
    Ok(())
}

/// Returns the source, prepared by [`premultiply`], in another size and in the stored orientation.
fn resize(resizer: &mut Resizer, source: &Source, size: (u32, u32)) -> Result<DynamicImage, Failure> {
    let mut smaller = DynamicImage::new(size.0, size.1, source.pixels.color());
    resizer.resize(&source.pixels, &mut smaller, &ResizeOptions::new().use_alpha(false)).or_reject()?;
    if smaller.color().has_alpha() {
        MulDiv::new().divide_alpha_inplace(&mut smaller).or_reject()?;
    }
    Ok(smaller)
}

/// Returns the size of an image in the stored orientation with which it fits the box after it is turned.
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
