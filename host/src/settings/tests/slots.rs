use super::*;
use drumline::core::Priority;

fn two(of_process: &str, of_jobs: &str, of_mail: &str) -> Result<Settings, Problems> {
    let file = format!(
        "{of_process}\n[[queue]]\nurl = \"{JOBS}\"\n{of_jobs}\n[[queue]]\nurl = \"{MAIL}\"\n{of_mail}"
    );
    read(&[], &[], &file)
}

#[test]
fn queues_share_slots_once_one_of_them_has_a_weight() {
    let settings = two("", "", "").unwrap();
    assert_eq!(settings.shared_slots, None);
    for of_jobs in ["weight = 5", "max_age = \"10m\"", "priority = \"critical\""] {
        let settings = two("concurrency = 20", of_jobs, "concurrency = 4").unwrap();
        assert_eq!(settings.shared_slots.map(std::num::NonZeroUsize::get), Some(20), "{of_jobs}");
        assert_eq!(settings.queues.iter().map(|queue| queue.concurrency.get()).collect::<Vec<_>>(), [20, 4]);
    }
    let settings = two("weight = 3", "weight = 5\nmax_age = \"10m\"", "priority = \"critical\"").unwrap();
    let rules: Vec<_> = settings.queues.iter().map(QueueSettings::slot_rules).collect();
    assert_eq!((rules[0].weight.get(), rules[0].max_age), (5, Some(Duration::from_secs(600))));
    assert_eq!((rules[1].weight.get(), rules[1].priority), (3, Priority::Critical));
    // One queue has nothing to share with.
    let file = format!("[[queue]]\nurl = \"{JOBS}\"\nweight = 5");
    assert_eq!(read(&[], &[], &file).unwrap().shared_slots, None);
}

#[test]
fn shared_slots_are_shown_with_the_weights_in_force() {
    let shown = |settings: &Settings, key: &str| -> Vec<Option<String>> {
        let of_key = settings.effective.iter().filter(|setting| setting.key == key);
        of_key.map(|setting| setting.value.clone()).collect()
    };
    let settings = two("", "", "").unwrap();
    assert_eq!((shown(&settings, "weight"), shown(&settings, "shared_slots")), (vec![None, None], vec![]));
    let settings = two("", "weight = 5", "").unwrap();
    assert_eq!(shown(&settings, "weight"), [Some("5".to_owned()), Some("1".to_owned())]);
    assert_eq!(shown(&settings, "shared_slots"), [Some("32".to_owned())]);
    let settings = two("", "priority = \"critical\"", "").unwrap();
    assert_eq!(shown(&settings, "shared_slots"), [Some("32, of which 3 for critical queues".to_owned())]);
}

#[test]
fn shares_that_cannot_be_are_refused() {
    let refused = |settings: Result<Settings, Problems>, parts: &[&str]| {
        let text = settings.map(|_| ()).unwrap_err().to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    for (of_jobs, parts) in [
        ("weight = 0", ["weight", "from 1 to 1000"]),
        ("weight = 1001", ["weight", "from 1 to 1000"]),
        ("max_age = \"0s\"", ["max_age", "more than nothing"]),
        ("priority = \"high\"", ["priority", "normal or critical"]),
        ("weight = 5\nconcurrency = 40", ["is 40", "all queues together share 32 slots"]),
    ] {
        refused(two("", of_jobs, ""), &parts);
    }
    refused(two("concurrency = 1", "weight = 5", ""), &["is 1, and 2 queues share", "at least 2"]);
    refused(
        two("concurrency = 30", "priority = \"critical\"\nconcurrency = 2", "concurrency = 31"),
        &["is 31"],
    );
    assert!(two("concurrency = 2", "priority = \"critical\"", "").is_ok());
}
