//! S3 as far as exports use it: objects that are written once, read, and listed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use drumline_tests::{Answer, App, Call};
use url::form_urlencoded;

/// The objects of a bucket: path to the token of their writer and their content.
pub(crate) type Objects = Arc<Mutex<BTreeMap<String, (String, String)>>>;

/// The objects on a page of a listing. S3 has 1,000.
const PAGE: usize = 1;

/// The beginning of the token of a page, with characters that a query has to encode.
const TOKEN: &str = "1+/=&";

/// Starts an S3 that can lose the response to its first request.
pub(crate) async fn s3(objects: &Objects, loses_an_answer: bool) -> App {
    let objects = Arc::clone(objects);
    let lost = Arc::new(Mutex::new(!loses_an_answer));
    App::start(move |call| {
        let is_lost = !std::mem::replace(&mut *lost.lock().unwrap(), true);
        let answer = answer(&objects, &call);
        async move { if is_lost { Answer::status(503) } else { answer } }
    })
    .await
}

pub(crate) fn answer(objects: &Objects, call: &Call) -> Answer {
    let (method, path) = call.line.split_once(' ').unwrap();
    assert!(call.header("authorization").unwrap().contains("/s3/aws4_request"), "{call:?}");
    let mut objects = objects.lock().unwrap();
    let token = call.header("x-amz-meta-drumline-export").unwrap_or_default();
    match (method, objects.get(path)) {
        ("PUT", Some(_)) => Answer::status(412),
        ("PUT", None) => {
            assert_eq!(call.header("if-none-match"), Some("*"));
            objects.insert(path.to_owned(), (token.to_owned(), call.body.clone()));
            Answer::ok()
        }
        ("HEAD", Some((token, _))) => Answer::ok().header("x-amz-meta-drumline-export", token),
        ("GET", Some((_, content))) => Answer::ok().body(content),
        ("GET", None) => match path.split_once("/?") {
            Some((bucket, query)) => Answer::ok().body(&page(&objects, bucket, query)),
            None => Answer::status(404).body("<Error><Code>NoSuchKey</Code></Error>"),
        },
        _ => Answer::status(404),
    }
}

/// A page of a listing.
fn page(objects: &BTreeMap<String, (String, String)>, bucket: &str, query: &str) -> String {
    let query: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    assert_eq!((&*query["list-type"], &*query["delimiter"]), ("2", "/"));
    let from = query
        .get("continuation-token")
        .map_or(0, |token| token.strip_prefix(TOKEN).unwrap().parse().unwrap());
    let keys = objects.iter().filter_map(|(path, (_, content))| {
        let key = path.strip_prefix(bucket)?.strip_prefix('/')?;
        let is_in_folder = key.strip_prefix(&query["prefix"]).is_some_and(|rest| !rest.contains('/'));
        is_in_folder.then(|| {
            format!(
                "<Contents><Key>{key}</Key><ETag>&quot;x&quot;</ETag><Size>{}</Size></Contents>",
                content.len()
            )
        })
    });
    let keys: Vec<String> = keys.collect();
    let shown = keys[from.min(keys.len())..].iter().take(PAGE).cloned().collect::<String>();
    let next = from + PAGE;
    let more = if next < keys.len() {
        format!("<NextContinuationToken>{TOKEN}{next}</NextContinuationToken>")
    } else {
        String::new()
    };
    format!(
        "<?xml version=\"1.0\"?><ListBucketResult><Prefix>{}</Prefix>{more}{shown}</ListBucketResult>",
        query["prefix"]
    )
}
