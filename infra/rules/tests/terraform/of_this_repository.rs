//! This repository's Terraform modules: they pass the same rules as its CloudFormation templates, and deploy the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use drumline_infra_rules::model::Stack;
use drumline_infra_rules::{Options, Template, check, check_at_defaults, terraform};
use serde::Deserialize;
use serde_json::{Value, json};

/// The modules. Each has the name of a template.
const MODULES: [&str; 8] = [
    "dashboard",
    "fan-out",
    "payload-bucket",
    "queue",
    "queue-fifo",
    "worker-ec2",
    "worker-fargate",
    "worker-lambda",
];

/// Variables without a CloudFormation parameter, which cannot be a map.
const ONLY_VARIABLES: [&str; 2] = ["Environment", "Secrets"];

/// Parameters that the modules lack: the oldest supported provider version does not know capacity providers of functions.
const ONLY_PARAMETERS: [&str; 1] = ["CapacityProviderArn"];

fn infra(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

fn module(name: &str) -> Template {
    terraform::load(&infra("terraform/modules").join(name)).unwrap()
}

fn twin(name: &str) -> Template {
    Template::load(&infra("cloudformation").join(name).with_extension("yaml")).unwrap()
}

/// Returns the stack of a choice of values. By default a worker has no store of its own.
fn stack_with(template: &Template, chosen: &Values) -> Stack {
    let mut values = Values::from([("StoreTableName".to_owned(), json!(""))]);
    values.extend(chosen.clone());
    template.stack(&values)
}

fn stack(template: &Template) -> Stack {
    stack_with(template, &Values::new())
}

type Values = BTreeMap<String, Value>;

/// Returns values of the optional parameters, from each template that has them.
fn optional() -> Vec<(&'static str, Value)> {
    let key = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef";
    let secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders-AbCdEf";
    vec![
        ("Store", json!("none")),
        ("StoreTableName", json!("jobs-store")),
        ("StoreUrl", json!("redis://store:6379")),
        ("StoreUrlSecretArn", json!(secret)),
        ("SecretArns", json!([secret])),
        ("EnvironmentFileArn", json!("arn:aws:s3:::settings/worker.env")),
        ("KmsKeyArn", json!(key)),
        ("DeadLetterQueueArn", json!("arn:aws:sqs:eu-west-1:123456789012:jobs-dlq")),
        ("ForwardTo", json!("http://127.0.0.1:8080/")),
        ("ApplicationImageUri", json!("registry.example/application:1.0.0")),
        ("ApplicationHealthCommand", json!("/usr/bin/wget -q http://127.0.0.1:8080/health")),
        ("AssignPublicIp", json!("ENABLED")),
        ("SubnetIds", json!(["subnet-0123456789abcdef0"])),
        ("Architecture", json!("x86_64")),
        ("MinimumPollers", json!(2)),
        ("ThirdGroup", json!("archive")),
        ("FirstTypes", json!(["app.critical", "app.info"])),
        ("FilterOn", json!("attribute")),
        ("KeepQueueActive", json!("on")),
        ("PayloadBucket", json!("payloads")),
        ("PayloadPrefix", json!("jobs/")),
    ]
}

/// Returns the choices at which a module must equal the template: the defaults, each optional part, and all of them.
fn choices(name: &str) -> Vec<Values> {
    let parameters = stack(&twin(name)).parameters;
    let known = optional().into_iter().filter(|(parameter, _)| parameters.contains_key(*parameter));
    let known: Vec<(String, Value)> = known.map(|(parameter, value)| (parameter.to_owned(), value)).collect();
    let alone = known.iter().cloned().map(|part| Values::from([part]));
    [Values::new()].into_iter().chain(alone).chain([known.iter().cloned().collect()]).collect()
}

#[test]
fn modules_break_no_rule() {
    let templates: Vec<Template> =
        MODULES.iter().map(|name| twin(name)).chain(MODULES.iter().map(|name| module(name))).collect();
    let findings = check(&templates, &Options::default());
    assert!(
        findings.is_empty(),
        "{}",
        findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn examples_bring_queue_and_worker_together() {
    for (name, queue, worker) in [
        (
            "queue-and-fargate-worker",
            "module.queue.aws_sqs_queue.jobs",
            "module.worker.aws_ecs_service.worker",
        ),
        ("queue-and-lambda", "module.queue.aws_sqs_queue.jobs", "module.worker.aws_lambda_function.worker"),
    ] {
        let template = terraform::load(&infra("terraform/examples").join(name)).unwrap();
        let stack = stack(&template);
        assert!(stack.resources.contains_key(queue) && stack.resources.contains_key(worker), "{name}");
        let findings = check(&[template], &Options::default());
        let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(told.is_empty(), "{}", told.join("\n"));
    }
}

#[test]
fn modules_take_and_give_what_templates_do() {
    for name in MODULES {
        let (own, theirs) = (stack(&module(name)), stack(&twin(name)));
        let names = |stack: &Stack, only: &[&str]| {
            let names = stack.parameters.keys().filter(|name| !only.contains(&name.as_str()));
            names.cloned().collect::<BTreeSet<_>>()
        };
        let both = names(&own, &ONLY_VARIABLES);
        assert_eq!(both, names(&theirs, &ONLY_PARAMETERS), "parameters of {name}");
        for parameter in &both {
            let (own, theirs) = (&own.parameters[parameter], &theirs.parameters[parameter]);
            let bounds = |of: &drumline_infra_rules::model::Parameter| {
                (of.default.clone(), of.min, of.max, of.allowed.clone(), of.max_length)
            };
            assert_eq!(bounds(own), bounds(theirs), "{parameter} of {name}");
            // CloudFormation has types for these.
            if !theirs.kind.contains("AWS::") {
                assert_eq!(own.pattern, theirs.pattern, "pattern of {parameter} of {name}");
            }
        }
        for output in theirs.outputs.keys() {
            assert!(own.outputs.contains_key(output), "{name} has no output {output}");
        }
    }
}

/// Properties that must be the same in both languages, by their type.
const SAME: [(&str, &[&str]); 18] = [
    (
        "AWS::S3::Bucket",
        &[
            "/PublicAccessBlockConfiguration",
            "/LifecycleConfiguration/Rules/0/ExpirationInDays",
            "/LifecycleConfiguration/Rules/0/Status",
        ],
    ),
    ("AWS::S3::BucketPolicy", &["/PolicyDocument"]),
    ("AWS::SNS::Topic", &["/TopicName", "/KmsMasterKeyId", "/Tags"]),
    ("AWS::SNS::TopicPolicy", &["/Topics", "/PolicyDocument"]),
    (
        "AWS::SNS::Subscription",
        &[
            "/TopicArn",
            "/Protocol",
            "/Endpoint",
            "/RawMessageDelivery",
            "/FilterPolicy",
            "/FilterPolicyScope",
            "/RedrivePolicy",
        ],
    ),
    ("AWS::CloudWatch::Dashboard", &["/DashboardName", "/DashboardBody"]),
    (
        "AWS::EC2::SecurityGroup",
        &["/SecurityGroupEgress", "/SecurityGroupIngress", "/GroupDescription", "/VpcId"],
    ),
    (
        "AWS::ECS::Service",
        &[
            "/ServiceName",
            "/Cluster",
            "/CapacityProviderStrategy",
            "/DeploymentConfiguration",
            "/NetworkConfiguration/AwsvpcConfiguration/AssignPublicIp",
            "/NetworkConfiguration/AwsvpcConfiguration/Subnets",
            "/EnableECSManagedTags",
            "/PropagateTags",
        ],
    ),
    (
        "AWS::ApplicationAutoScaling::ScalableTarget",
        &["/ServiceNamespace", "/ScalableDimension", "/ResourceId", "/MinCapacity", "/MaxCapacity"],
    ),
    (
        "AWS::SQS::Queue",
        &[
            "/VisibilityTimeout",
            "/MessageRetentionPeriod",
            "/ReceiveMessageWaitTimeSeconds",
            "/RedrivePolicy",
            "/RedriveAllowPolicy",
            "/FifoQueue",
            "/DeduplicationScope",
            "/FifoThroughputLimit",
        ],
    ),
    ("AWS::SQS::QueuePolicy", &["/PolicyDocument"]),
    ("AWS::IAM::ManagedPolicy", &["/PolicyDocument"]),
    ("AWS::Logs::LogGroup", &["/LogGroupName", "/RetentionInDays"]),
    (
        "AWS::Lambda::Function",
        &[
            "/Runtime",
            "/Handler",
            "/Architectures",
            "/Code",
            "/Timeout",
            "/MemorySize",
            "/Environment",
            "/TracingConfig",
            "/VpcConfig",
        ],
    ),
    (
        "AWS::Lambda::EventSourceMapping",
        &[
            "/EventSourceArn",
            "/BatchSize",
            "/MaximumBatchingWindowInSeconds",
            "/FunctionResponseTypes",
            "/ScalingConfig",
            "/ProvisionedPollerConfig",
            "/MetricsConfig",
            "/Enabled",
        ],
    ),
    (
        "AWS::ECS::TaskDefinition",
        &["/ContainerDefinitions", "/Cpu", "/Memory", "/RuntimePlatform", "/NetworkMode"],
    ),
    (
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        &["/TargetTrackingScalingPolicyConfiguration", "/StepScalingPolicyConfiguration"],
    ),
    (
        "AWS::CloudWatch::Alarm",
        &[
            "/AlarmName",
            "/Metrics",
            "/Namespace",
            "/MetricName",
            "/Dimensions",
            "/Statistic",
            "/Period",
            "/EvaluationPeriods",
            "/DatapointsToAlarm",
            "/Threshold",
            "/ComparisonOperator",
            "/TreatMissingData",
            "/OKActions",
        ],
    ),
];

#[test]
fn modules_deploy_what_templates_do() {
    for name in MODULES {
        let (module, twin) = (module(name), twin(name));
        for chosen in choices(name) {
            let (own, theirs) = (stack_with(&module, &chosen), stack_with(&twin, &chosen));
            for (kind, pointers) in SAME {
                // Compared by their properties, because the two name resources differently.
                let all = |stack: &Stack| {
                    let properties = stack.of_kind(kind).map(|(_, resource)| {
                        let texts = pointers
                            .iter()
                            .map(|pointer| resource.get(pointer).map_or_else(String::new, leniently));
                        texts.collect::<Vec<_>>()
                    });
                    properties.collect::<BTreeSet<_>>()
                };
                assert_eq!(all(&own), all(&theirs), "{kind} of {name} at {chosen:?}");
            }
        }
    }
}

/// The permissions of roles. Policies are part of the role in CloudFormation, and separate in Terraform. The two write a log
/// group's streams in different ways.
#[test]
fn roles_may_do_the_same() {
    let of = |stack: &Stack| {
        let roles = stack.of_kind("AWS::IAM::Role").flat_map(|(_, role)| {
            let policies = role.get("/Policies").and_then(Value::as_array).cloned().unwrap_or_default();
            policies.into_iter().map(|policy| policy["PolicyDocument"].clone())
        });
        let beside = stack
            .of_kind("AWS::IAM::RolePolicy")
            .filter_map(|(_, policy)| policy.get("/PolicyDocument").cloned());
        let documents: Vec<Value> = roles.chain(beside).collect();
        let statements = documents.iter().flat_map(|document| document["Statement"].as_array().unwrap());
        statements.filter(|statement| statement["Sid"] != "Log").map(leniently).collect::<BTreeSet<_>>()
    };
    for name in ["worker-ec2", "worker-fargate", "worker-lambda"] {
        let (module, twin) = (module(name), twin(name));
        for chosen in choices(name) {
            let own = of(&stack_with(&module, &chosen));
            assert!(own.len() >= 2, "{own:?}");
            assert_eq!(own, of(&stack_with(&twin, &chosen)), "{name} at {chosen:?}");
        }
    }
}

/// Tokens of values that are known only after the deployment. They contain the name of a resource, which differs between the
/// two. A capacity provider has a name only in Terraform.
const RENAMED: [(&str, &str); 4] = [
    ("${aws_sns_topic.events.Arn}", "${Topic}"),
    ("${Topic.TopicName}", "jobs-events"),
    ("${CapacityProvider}", "jobs-worker"),
    ("${aws_s3_bucket.payloads.Arn}", "${PayloadBucket.Arn}"),
];

/// Returns a value in which equal numbers and texts are equal, as in both languages. A text that is JSON is parsed.
fn leniently(value: &Value) -> String {
    match value {
        Value::String(text) if text.starts_with('{') => {
            serde_json::from_str(text).map_or_else(|_| text.clone(), |parsed: Value| leniently(&parsed))
        }
        Value::String(text) => {
            RENAMED.iter().fold(text.clone(), |text, (own, theirs)| text.replace(own, theirs))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(leniently).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| format!("{key}: {}", leniently(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

#[derive(Deserialize)]
struct Mutants {
    mutant: Vec<Mutant>,
}

#[derive(Deserialize)]
struct Mutant {
    rule: String,
    module: String,
    file: String,
    from: String,
    to: String,
}

#[test]
fn each_mistake_is_seen_by_its_rule_alone() {
    let text = fs::read_to_string(infra("rules/terraform-mutants.toml")).unwrap();
    let mutants: Mutants = toml::from_str(&text).unwrap();
    let mut problems = Vec::new();
    for mutant in &mutants.mutant {
        let folder = infra("terraform/modules").join(&mutant.module);
        let mut files = Vec::new();
        let mut replaced = 0;
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "tf") {
                continue;
            }
            let mut text = fs::read_to_string(&path).unwrap();
            if path.file_name().unwrap() == mutant.file.as_str() {
                replaced = text.matches(&mutant.from).count();
                text = text.replace(&mutant.from, &mutant.to);
            }
            files.push((path.display().to_string(), text));
        }
        assert!(replaced > 0, "{} of {} has no {:?}", mutant.file, mutant.module, mutant.from);
        let template = terraform::parse(&mutant.module, &files).unwrap();
        // Only one rule reads the template of the same name, which takes as long as the module.
        let templates =
            if mutant.rule == "T05" { vec![twin(&mutant.module), template] } else { vec![template] };
        // Variants take most of the time, and only a few rules need them to find their mistake.
        let mut findings = check_at_defaults(&templates, &Options::default());
        if !findings.iter().any(|finding| finding.rule == mutant.rule) {
            findings = check(&templates, &Options::default());
        }
        let seen: BTreeSet<&str> = findings.iter().map(|finding| finding.rule).collect();
        if seen != BTreeSet::from([mutant.rule.as_str()]) {
            let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
            problems.push(format!(
                "{} for {:?}: seen by {seen:?}\n{}",
                mutant.rule,
                mutant.to,
                told.join("\n")
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}
