//! Errors of the providers of credentials. They occur inside a request to SQS, as a cause of its failure.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use drumline::core::SqsErrorKind;

use drumline_aws::with_causes;

/// Texts with which services permanently refuse to issue credentials; all other failures may be transient.
const REFUSALS: [&str; 6] = [
    "AccessDenied",
    "InvalidIdentityToken",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnauthorizedException",
    "ValidationError",
];

/// Returns the kind of an error that a provider of credentials has caused.
pub(super) fn kind(error: &(dyn Error + 'static)) -> Option<SqsErrorKind> {
    let Some(cause) = of_provider(error) else {
        // Without any provider the SDK returns only a text.
        let is_missing = with_causes(error).to_lowercase().contains("credentials");
        return is_missing.then_some(SqsErrorKind::NoCredentials);
    };
    Some(match cause {
        CredentialsError::CredentialsNotLoaded(_) => SqsErrorKind::NoCredentials,
        CredentialsError::InvalidConfiguration(_) => SqsErrorKind::InvalidCredentials,
        _ => {
            let words = with_causes(cause);
            if words.to_lowercase().contains("expired") {
                SqsErrorKind::ExpiredCredentials
            } else if REFUSALS.iter().any(|refusal| words.contains(refusal)) {
                SqsErrorKind::InvalidCredentials
            } else {
                SqsErrorKind::CredentialsUnavailable
            }
        }
    })
}

/// The text with which the SDK reports a profile for which it was built without support.
const FEATURE_MISSING: &str = "following cargo feature(s) enabled";

/// Returns true for the text of an error that the feature `sign-in` would have prevented.
pub(super) fn is_sign_in_missing(words: &str) -> bool {
    words.contains(FEATURE_MISSING)
}

fn of_provider<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CredentialsError> {
    error.downcast_ref().or_else(|| of_provider(error.source()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_smithy_runtime_api::client::result::ConnectorError;

    use super::*;

    #[test]
    fn a_profile_that_this_build_cannot_read_is_recognized() {
        let error = CredentialsError::invalid_configuration(
            "ProfileFile provider could not be built: This behavior requires following cargo feature(s) enabled: sso. ",
        );
        assert_eq!(kind(&error), Some(SqsErrorKind::InvalidCredentials));
        assert!(is_sign_in_missing(&with_causes(&error)));
        assert!(!is_sign_in_missing(&with_causes(&CredentialsError::invalid_configuration("a loop"))));
    }

    #[test]
    fn transient_errors_are_distinguished_from_permanent_ones() {
        let table = [
            (CredentialsError::not_loaded("nothing is set"), SqsErrorKind::NoCredentials),
            (CredentialsError::invalid_configuration("a loop of profiles"), SqsErrorKind::InvalidCredentials),
            (CredentialsError::provider_error("connection refused"), SqsErrorKind::CredentialsUnavailable),
            (CredentialsError::unhandled("status 503"), SqsErrorKind::CredentialsUnavailable),
            (
                CredentialsError::provider_timed_out(Duration::from_secs(1)),
                SqsErrorKind::CredentialsUnavailable,
            ),
            (
                CredentialsError::provider_error("(AccessDenied): not authorized"),
                SqsErrorKind::InvalidCredentials,
            ),
            (CredentialsError::provider_error("(ExpiredTokenException)"), SqsErrorKind::ExpiredCredentials),
            (CredentialsError::provider_error("the SSO token has expired"), SqsErrorKind::ExpiredCredentials),
        ];
        for (error, expected) in table {
            let words = with_causes(&error);
            assert_eq!(kind(&error), Some(expected), "{words}");
            assert_eq!(
                kind(&ConnectorError::other(error.into(), None)),
                Some(expected),
                "{words}, as a cause"
            );
        }
        assert_eq!(kind(&std::io::Error::other("connection refused")), None);
    }
}
