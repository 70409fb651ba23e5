//! Behaviour that only DynamoDB has, and the setup of its tests.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use drumline::core::{ClaimResult, Ownership, ReleaseClaim};
use drumline_store::dynamodb::DynamoStore;
use drumline_store::dynamodb::aws_sdk_dynamodb::Client;
use drumline_store::dynamodb::aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use drumline_store::{Location, OpenError, Retention};

use crate::world::{LONG, World, again, fail, granted, json};
use drumline_store::assert_claim_result;

/// Returns the settings for a test, because all tests of a process share the environment's settings.
pub async fn config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .load()
        .await
}

pub async fn make_table(endpoint: &str, name: &str) {
    let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    let table = Client::new(&config(endpoint).await).create_table().table_name(name);
    let table = table.attribute_definitions(id.build().unwrap()).key_schema(key.build().unwrap());
    table.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
}

async fn attributes(world: &World, id: &str) -> std::collections::HashMap<String, AttributeValue> {
    let client = Client::new(&config(world.at()).await);
    let item = client.get_item().table_name(world.table()).key("id", AttributeValue::S(id.to_owned()));
    item.send().await.unwrap().item.unwrap()
}

fn number(value: &AttributeValue) -> u64 {
    value.as_n().unwrap().parse().unwrap()
}

pub async fn items_look_like_those_of_powertools(world: World) {
    let store = world.worker("one").await;
    let request = world.locking("job", "lock");
    let claim = granted(&store, &request).await.claim;
    let id = format!("job#{}", request.identity.key());
    let item = attributes(&world, &id).await;
    assert_eq!(item["status"], AttributeValue::S("INPROGRESS".to_owned()));
    assert_eq!(item["validation"], AttributeValue::S("fedcba98765432100123456789abcdef".to_owned()));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let until = number(&item["in_progress_expiration"]);
    assert!(u128::from(until) > now.as_millis() && u128::from(until) <= (now + LONG).as_millis());
    let expiration = number(&item["expiration"]);
    let keep = Retention::default();
    assert!(
        expiration > (now + keep.history).as_secs()
            && expiration <= (now + LONG + keep.history).as_secs() + 1
    );

    fail(&store, &claim).await;
    assert_eq!(number(&attributes(&world, &id).await["in_progress_expiration"]), 0);

    let claim = granted(&store, &again(&request)).await.claim;
    assert_eq!(store.finish(&claim, Some(&json("[7]"))).await, Ok(Ownership::Kept));
    let item = attributes(&world, &id).await;
    assert_eq!(item["status"], AttributeValue::S("COMPLETED".to_owned()));
    assert_eq!(item["data"], AttributeValue::S("[7]".to_owned()));
    assert!(number(&item["expiration"]) <= (now + keep.done).as_secs() + 60);
}

/// Expired items that DynamoDB has not removed yet must not count.
pub async fn items_that_only_wait_to_be_removed_do_not_count(world: World) {
    let store = world.worker("one").await;
    let request = world.locking("job", "lock");
    let claim = granted(&store, &request).await.claim;
    assert_eq!(store.checkpoint(&claim, &json("1")).await, Ok(Ownership::Kept));
    let how = ReleaseClaim { count_attempt: true, failure_reason: Some("no".to_owned()), dead: false };
    assert_eq!(store.release_claim(&claim, &how).await, Ok(Ownership::Kept));
    assert_claim_result!(store.claim(&again(&request)).await.unwrap(), ClaimResult::FailedPermanently(_));
    let client = Client::new(&config(world.at()).await);
    let expire = client
        .update_item()
        .table_name(world.table())
        .key("id", AttributeValue::S(format!("job#{}", request.identity.key())))
        .update_expression("SET expiration = :past")
        // Recent enough that it is not removed immediately.
        .expression_attribute_values(":past", AttributeValue::N((now_secs() - 1).to_string()));
    expire.send().await.unwrap();
    assert_eq!(store.jobs(request.identity.job_id()).await, Ok(Vec::new()));
    let grant = granted(&store, &again(&request)).await;
    assert_eq!((grant.attempt.get(), grant.checkpoint.is_none()), (1, true));
}

fn now_secs() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

pub async fn a_table_that_is_missing_is_named(world: World) {
    let config = config(world.at()).await;
    let opened = DynamoStore::with_config(&config, "no-such-table", "one".into(), Retention::default()).await;
    let error = opened.err().unwrap();
    assert!(
        matches!(&error, OpenError::Unavailable(why) if why.to_string().contains("ResourceNotFound")),
        "{error}"
    );
}

pub async fn urls_are_checked(_: World) {
    let at = |url: &str| url.parse::<Location>().map(|location| location.to_string());
    for url in ["dynamodb://Jobs_1.x-y", "dynamodb://jobs?region=eu-west-1"] {
        assert_eq!(at(url), Ok(url.to_owned()));
    }
    for url in
        ["dynamodb://", "dynamodb://ab", "dynamodb://jobs/other", "dynamodb://jobs%20", "dynamodb:jobs"]
    {
        assert!(at(url).is_err(), "{url}");
    }
}
