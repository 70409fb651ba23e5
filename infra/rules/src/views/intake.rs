//! Methods of APIs that call SQS directly.

use super::policies::role_at;
use crate::model::{Resource, Stack};

/// Returns the methods that integrate with SQS, by their address or by their role's permissions.
pub(crate) fn methods(stack: &Stack) -> impl Iterator<Item = (&str, &Resource)> {
    stack.of_kind("AWS::ApiGateway::Method").filter(|(_, method)| {
        let is_named = method.text("/Integration/Uri").is_some_and(|uri| uri.contains(":sqs:"));
        let may_send = || {
            role_at(stack, method, "/Integration/Credentials").is_some_and(|role| {
                role.statements.iter().any(|statement| statement.has_action("sqs:SendMessage"))
            })
        };
        method.text("/Integration/Type") == Some("AWS") && (is_named || may_send())
    })
}
