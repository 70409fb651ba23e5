//! Two alternatives without a common value: the variants of an enum.

use super::document::TooLarge;
use super::object::Side;
use super::schema::Comparison;
use super::shape::{Alternative, Shape};
use super::term::Term;

/// The largest depth to which the fields of two variants are searched for a difference.
const MAX_LOOK: usize = 12;

impl<'a> Comparison<'a> {
    /// Returns true if certainly no value fits both. If the limit of the depth is reached, the result is false.
    pub(super) fn is_disjoint(
        &mut self,
        reader: &Alternative<'a>,
        writer: &Alternative<'a>,
        depth: usize,
    ) -> bool {
        if !reader.shape.is_like(&writer.shape) {
            return true;
        }
        match (&reader.shape, &writer.shape) {
            (Shape::Bool([no, yes]), Shape::Bool([other_no, other_yes])) => {
                !((*no && *other_no) || (*yes && *other_yes))
            }
            (Shape::Number(reader), Shape::Number(writer)) => writer.is_disjoint(reader),
            (Shape::Text(reader), Shape::Text(writer)) => writer.is_disjoint(reader),
            (Shape::Array(reader), Shape::Array(writer)) => {
                let first = reader.first().max(writer.first());
                reader.has_disjoint_length(writer)
                    || (0..first).any(|at| {
                        (writer.has(at) || reader.has(at))
                            && self.are_disjoint(reader.item(at), writer.item(at), depth)
                    })
            }
            (Shape::Object(shape), Shape::Object(other)) => {
                let names = shape.required.union(&other.required);
                let is_partial = reader.is_partial;
                names.into_iter().any(|name| {
                    match (shape.field(name, Side::Reader), other.field(name, Side::Writer)) {
                        (Some(accepted), Some(written)) => {
                            let is_known = !is_partial || shape.fields.contains_key(name);
                            is_known && self.are_disjoint(&accepted, &written, depth)
                        }
                        (None, _) => !is_partial,
                        (_, None) => true,
                    }
                })
            }
            _ => false,
        }
    }

    fn are_disjoint(&mut self, reader: &Term<'a>, writer: &Term<'a>, depth: usize) -> bool {
        if depth >= MAX_LOOK || self.step().is_err() {
            return false;
        }
        let Ok(writers) = self.writer.alternatives(writer) else { return false };
        writers.iter().all(|writer| self.is_disjoint_term(reader, writer, depth + 1).unwrap_or(false))
    }

    pub(super) fn is_disjoint_term(
        &mut self,
        reader: &Term<'a>,
        writer: &Alternative<'a>,
        depth: usize,
    ) -> Result<bool, TooLarge> {
        let readers = self.reader.alternatives(reader)?;
        Ok(readers.iter().all(|reader| self.is_disjoint(reader, writer, depth)))
    }
}
