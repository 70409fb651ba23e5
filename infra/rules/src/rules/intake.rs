//! N01 to N04: APIs that put messages into queues without code.

use serde_json::Value;

use crate::case::Case;
use crate::finding::Report;
use crate::model::{Resource, Stack, Target};
use crate::rule::Rule;
use crate::value::{is_known, items, number, truth};
use crate::views::intake::methods;

/// The actions that the role of such a method needs: sending messages, and encrypting them.
const NEEDED: [&str; 3] = ["sqs:sendmessage", "kms:generatedatakey", "kms:decrypt"];

pub(super) const RULES: [Rule; 4] = [
    Rule {
        id: "N01",
        title: "an API's method that sends to a queue validates bodies of every content type by a model, and takes none without a template",
        reason: "A body that is not a job would get a success response, and become a dead letter. A body of a type without a model is not validated.",
        fix: "Set RequestModels with $default, a RequestValidatorId with ValidateRequestBody: true, and Integration.PassthroughBehavior: NEVER.",
        at_bounds: false,
        check: bodies_are_validated,
    },
    Rule {
        id: "N02",
        title: "such a method answers success only if SQS has answered 200, and its response without a pattern is an error",
        reason: "The response without a pattern is for all answers that no pattern matches: as a success, it hides every refusal of SQS, and the job is lost.",
        fix: "Give the 2xx response the SelectionPattern \"200\", and leave the pattern out of a 5xx response.",
        at_bounds: false,
        check: success_is_confirmed,
    },
    Rule {
        id: "N03",
        title: "the role of such a method may only send",
        reason: "The API is open to callers. A mistake in the API's template could use any further permission of the role.",
        fix: "Allow sqs:SendMessage on the queue, and kms:GenerateDataKey and kms:Decrypt on its key.",
        at_bounds: false,
        check: role_only_sends,
    },
    Rule {
        id: "N04",
        title: "the stages of such an API limit the rate of requests, have an access log, and log no bodies",
        reason: "Without a limit one caller takes the throughput of the whole account; without a log a missing job cannot be found; bodies do not belong in logs.",
        fix: "Set ThrottlingRateLimit, ThrottlingBurstLimit and DataTraceEnabled: false in MethodSettings for /* and *, and AccessLogSetting.",
        at_bounds: false,
        check: stages_are_bounded,
    },
];

fn bodies_are_validated(case: &Case<'_>, report: &mut Report<'_>) {
    for (id, method) in methods(case.stack) {
        let has_model = method
            .get("/RequestModels")
            .is_some_and(|models| models.as_object().is_none_or(|models| models.contains_key("$default")));
        if !has_model {
            report.at(id, method, "/RequestModels", "it has no model for all content types");
        }
        let validators: Vec<&Resource> =
            method.references_at("/RequestValidatorId").filter_map(|to| resource(case.stack, to)).collect();
        let validates = |validator: &Resource| {
            validator.get("/ValidateRequestBody").is_some_and(|value| truth(value) != Some(false))
        };
        let validates = match method.get("/RequestValidatorId") {
            Some(validator) if validators.is_empty() => !is_known(validator),
            Some(_) => validators.into_iter().any(validates),
            None => false,
        };
        if !validates {
            report.at(id, method, "/RequestValidatorId", "nothing validates its bodies");
        }
        let at = "/Integration/PassthroughBehavior";
        if method.get(at).is_none_or(|behavior| is_known(behavior) && behavior != "NEVER") {
            report.at(id, method, at, "it passes bodies of other content types on");
        }
    }
}

fn resource<'a>(stack: &'a Stack, to: &Target) -> Option<&'a Resource> {
    let Target::Resource { id, .. } = to else { return None };
    stack.resources.get(id)
}

fn success_is_confirmed(case: &Case<'_>, report: &mut Report<'_>) {
    let at = "/Integration/IntegrationResponses";
    for (id, method) in methods(case.stack) {
        let responses = items(method.get(at));
        let is_success =
            |response: &Value| number(&response["StatusCode"]).is_some_and(|status| status < 300.0);
        for (index, response) in responses.iter().enumerate().filter(|(_, response)| is_success(response)) {
            let pattern = &response["SelectionPattern"];
            if is_known(pattern) && !["200", "2\\d{2}"].iter().any(|only| pattern == only) {
                let found = "it is the answer to more than a success of SQS";
                report.at(id, method, &format!("{at}/{index}"), found);
            }
        }
        let is_default = |response: &Value| response["SelectionPattern"].is_null() && !is_success(response);
        if !responses.iter().any(is_default) && responses.iter().all(is_known) {
            report.at(id, method, at, "it has no error for what no pattern matches");
        }
    }
}

fn role_only_sends(case: &Case<'_>, report: &mut Report<'_>) {
    for (_, method) in methods(case.stack) {
        let role = crate::views::policies::role_at(case.stack, method, "/Integration/Credentials");
        for statement in role.iter().flat_map(|role| &role.statements).filter(|statement| statement.allows())
        {
            let more = statement
                .actions()
                .into_iter()
                .find(|action| !NEEDED.contains(&action.to_ascii_lowercase().as_str()));
            if let Some(action) = more {
                let at = format!("{}/Action", statement.pointer);
                report.at(statement.id, statement.resource, &at, format!("it allows {action}"));
            }
        }
    }
}

fn stages_are_bounded(case: &Case<'_>, report: &mut Report<'_>) {
    if methods(case.stack).next().is_none() {
        return;
    }
    for (id, stage) in case.stack.of_kind("AWS::ApiGateway::Stage") {
        let at = "/MethodSettings";
        let settings = items(stage.get(at));
        let is_for_all = |setting: &&Value| setting["ResourcePath"] == "/*" && setting["HttpMethod"] == "*";
        let limits = ["ThrottlingRateLimit", "ThrottlingBurstLimit"];
        let limited = |setting: &Value| limits.iter().all(|limit| !setting[limit].is_null());
        if !settings.iter().filter(is_for_all).any(limited) {
            report.at(id, stage, at, "its rate of requests has no limit");
        }
        if settings.iter().any(|setting| truth(&setting["DataTraceEnabled"]) == Some(true)) {
            report.at(id, stage, at, "its log has bodies");
        }
        if stage.get("/AccessLogSetting/DestinationArn").is_none() {
            report.at(id, stage, "/AccessLogSetting", "it has no access log");
        }
    }
}
