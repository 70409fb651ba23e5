//! Reads CloudWatch's metric of the oldest message's age with one signed request.
//!
//! See [GetMetricStatistics](https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html) and
//! [SQS's metrics](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drumline_aws::{Environment, SignedApi, loader, xml_text};
use http::Request;
use http::header::CONTENT_TYPE;

/// The time limit of a request, because a caller of the gate waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The largest age of the newest value: metrics are a few minutes late.
const WINDOW_SECS: i64 = 10 * 60;

/// The largest number of characters of an error response that are shown.
const MAX_REFUSAL: usize = 200;

/// The metric of one queue.
#[derive(Clone)]
pub(super) struct CloudWatch {
    api: SignedApi,
    queue: Arc<str>,
}

impl CloudWatch {
    pub(super) async fn new(region: Option<&str>, queue: &Arc<str>) -> Result<Self, String> {
        Self::with(&Environment::of_process(), region, queue).await
    }

    pub(super) async fn with(
        environment: &Environment,
        region: Option<&str>,
        queue: &Arc<str>,
    ) -> Result<Self, String> {
        let config = loader(environment)?.load().await;
        let api = SignedApi::new(&config, environment, "monitoring", region)?;
        Ok(Self { api, queue: Arc::clone(queue) })
    }

    /// Returns the newest value of the metric; `None` if there is no value in the window.
    pub(super) async fn oldest(self) -> Result<Option<Duration>, String> {
        let now = jiff::Timestamp::now().as_second();
        let request = Request::post(format!("{}/", self.api.endpoint()))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form(&self.queue, now)))
            .map_err(|error| error.to_string())?;
        let response = self.api.send(request, PATIENCE).await?;
        let body = String::from_utf8_lossy(response.body());
        if !response.status().is_success() {
            let says: String = body.chars().filter(|c| !c.is_control()).take(MAX_REFUSAL).collect();
            return Err(format!("it answers {} {says}", response.status().as_u16()));
        }
        newest(&body)
    }
}

fn form(queue: &str, now_secs: i64) -> String {
    let time = |secs| jiff::Timestamp::from_second(secs).unwrap_or_default().to_string();
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", "GetMetricStatistics")
        .append_pair("Version", "2010-08-01")
        .append_pair("Namespace", "AWS/SQS")
        .append_pair("MetricName", "ApproximateAgeOfOldestMessage")
        .append_pair("Dimensions.member.1.Name", "QueueName")
        .append_pair("Dimensions.member.1.Value", queue)
        .append_pair("StartTime", &time(now_secs - WINDOW_SECS))
        .append_pair("EndTime", &time(now_secs))
        .append_pair("Period", "60")
        .append_pair("Statistics.member.1", "Maximum")
        .finish()
}

/// Returns the newest of the values, which are not ordered.
fn newest(xml: &str) -> Result<Option<Duration>, String> {
    if !xml.contains("<GetMetricStatisticsResult>") {
        return Err("it answers without a GetMetricStatisticsResult".to_owned());
    }
    let points = xml.split("<member>").skip(1).filter_map(|member| {
        let at: jiff::Timestamp = xml_text(member, "Timestamp")?.trim().parse().ok()?;
        Some((at, xml_text(member, "Maximum")?.trim().parse::<f64>().ok()?))
    });
    let newest = points.max_by_key(|(at, _)| *at);
    Ok(newest.and_then(|(_, secs)| Duration::try_from_secs_f64(secs).ok()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::body::to_bytes;
    use tokio::net::TcpListener;

    use super::*;

    const ANSWER: &str = r#"<?xml version="1.0"?>
<GetMetricStatisticsResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><GetMetricStatisticsResult>
  <Datapoints>
    <member><Timestamp>2026-11-29T18:02:00Z</Timestamp><Maximum>62.0</Maximum><Unit>Seconds</Unit></member>
    <member><Timestamp>2026-11-29T18:04:00Z</Timestamp><Maximum>183.5</Maximum><Unit>Seconds</Unit></member>
    <member><Maximum>121.0</Maximum><Timestamp>2026-11-29T18:03:00Z</Timestamp><Unit>Seconds</Unit></member>
  </Datapoints><Label>ApproximateAgeOfOldestMessage</Label>
</GetMetricStatisticsResult></GetMetricStatisticsResponse>"#;

    #[test]
    fn the_newest_value_counts() {
        assert_eq!(newest(ANSWER), Ok(Some(Duration::from_millis(183_500))));
        let none = "<GetMetricStatisticsResult><Datapoints/></GetMetricStatisticsResult>";
        assert_eq!(newest(none), Ok(None));
        assert!(newest("<html>").is_err());
    }

    async fn cloudwatch(
        status: u16,
        answer: &'static str,
    ) -> (CloudWatch, Arc<std::sync::Mutex<Vec<String>>>) {
        let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
        let requests = Arc::clone(&asked);
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| async move {
            let (head, body) = request.into_parts();
            let authorization = head.headers["authorization"].to_str().unwrap().to_owned();
            let body = String::from_utf8(to_bytes(body, 10_000).await.unwrap().to_vec()).unwrap();
            requests.lock().unwrap().extend([authorization, body]);
            (axum::http::StatusCode::from_u16(status).unwrap(), answer)
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let environment = Environment::from([
            ("AWS_ENDPOINT_URL_CLOUDWATCH", &*url),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
        ]);
        let made = CloudWatch::with(&environment, Some("eu-west-1"), &Arc::from("jobs")).await;
        (made.unwrap(), asked)
    }

    #[tokio::test]
    async fn the_metric_is_asked_for_by_a_signed_request() {
        let (metric, asked) = cloudwatch(200, ANSWER).await;
        assert_eq!(metric.oldest().await, Ok(Some(Duration::from_millis(183_500))));
        let asked = asked.lock().unwrap();
        assert!(asked[0].contains("/eu-west-1/monitoring/aws4_request"), "{}", asked[0]);
        for pair in
            ["Action=GetMetricStatistics", "Dimensions.member.1.Value=jobs", "Statistics.member.1=Maximum"]
        {
            assert!(asked[1].contains(pair), "{pair} in {}", asked[1]);
        }
    }

    #[tokio::test]
    async fn a_refusal_is_shown() {
        let (metric, _) = cloudwatch(403, "<Code>AccessDenied</Code>").await;
        assert!(metric.oldest().await.unwrap_err().contains("403 <Code>AccessDenied"));
    }
}
