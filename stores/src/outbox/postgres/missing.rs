//! The errors of a database without an outbox.

use crate::postgres::schema;
use crate::store::{StoreError, StoreErrorText};

/// Adds the remedy to the error if tables or functions are missing, or the role may not use them: repeating the call does not
/// help.
pub(crate) fn without_outbox(error: StoreError) -> StoreError {
    if !schema::is_about_schema(&error) {
        return error;
    }
    let text = format!(
        "{error}: have a role that may create tables run `drumline outbox migrate`, and grant SELECT, INSERT, UPDATE and DELETE on \
         drumline_outbox and the tables drumline_outbox_*"
    );
    StoreError::Refused(StoreErrorText::about(error, text))
}
