//! Standard queues, their attributes and their messages.

use super::{IN_FLIGHT, VISIBLE, on_queue, scenario};
use crate::script::Handle::{Of, Text};
use crate::script::Step::{
    Create, Delete, Get, Hide, HideBatch, List, Purge, Receive, Remove, RemoveBatch, Send, SendBatch, Set,
    Tag, Tags, Untag, Until, Url,
};
use crate::script::{Outgoing, Receiving, Scenario, patient, ten, ten_for, text};

pub(super) fn queues() -> Vec<Scenario> {
    vec![
        scenario(
            "creating twice",
            vec![
                Create("q", vec![("VisibilityTimeout", "60")]),
                Create("q", vec![("VisibilityTimeout", "60")]),
                Create("q", vec![]),
                Create("q", vec![("VisibilityTimeout", "61")]),
                Url("q"),
                Url("absent"),
            ],
        ),
        scenario("wrong names", vec![Create("a b", vec![]), Create("a.b", vec![]), Create("a.fifo", vec![])]),
        on_queue(
            "default attributes",
            vec![Get("q", vec!["All"]), Get("q", vec!["DelaySeconds", "QueueArn"])],
        ),
        on_queue(
            "setting attributes",
            vec![
                Set("q", "VisibilityTimeout", "7"),
                Set("q", "DelaySeconds", "0"),
                Get("q", vec!["VisibilityTimeout", "DelaySeconds"]),
                Set("q", "Nonsense", "7"),
                Get("q", vec!["Nonsense"]),
                Set("absent", "VisibilityTimeout", "7"),
            ],
        ),
        scenario(
            "listing by prefix",
            vec![Create("a1", vec![]), Create("b1", vec![]), Create("a2", vec![]), List("a"), List("c")],
        ),
        on_queue("deleting", vec![Delete("q"), Delete("q"), Url("q"), Send("q", text("x"))]),
        on_queue(
            "tagging",
            vec![Tag("q", "team", "a"), Tag("q", "tier", "b"), Tags("q"), Untag("q", "team"), Tags("q")],
        ),
        on_queue(
            "purging",
            vec![
                Send("q", text("a")),
                Receive("q", ten()),
                Send("q", text("b")),
                Purge("q"),
                Receive("q", ten()),
                Get("q", vec![VISIBLE, IN_FLIGHT]),
            ],
        ),
    ]
}

pub(super) fn sending() -> Vec<Scenario> {
    let attributes = vec![
        ("text", "String", "välue"),
        ("count", "Number", "42"),
        ("raw", "Binary", "bytes"),
        ("label", "String.mine", "v"),
    ];
    let with = |name, data_type, value| Outgoing { attributes: vec![(name, data_type, value)], ..text("x") };
    vec![
        on_queue(
            "bodies",
            vec![
                Send("q", text("héllo \"w\" \\ \t\n \u{1F600}")),
                Receive("q", ten()),
                Send("q", text("")),
                Send("q", text("\u{1}")),
                Send("q", text("\u{FFFE}")),
                Send("q", text(&"x".repeat(1_048_576))),
                Send("q", text(&"x".repeat(1_048_577))),
                Send("absent", text("x")),
            ],
        ),
        on_queue(
            "attributes and trace header",
            vec![
                Send("q", Outgoing { attributes, trace: Some("Root=1-5759e988"), ..text("x") }),
                Receive("q", ten()),
            ],
        ),
        on_queue(
            "wrong attributes",
            vec![
                Send("q", with("a b", "String", "v")),
                Send("q", with("AWS.x", "String", "v")),
                Send("q", with("a.", "String", "v")),
                Send("q", with("n", "Text", "v")),
                Send("q", with("n", "String", "")),
            ],
        ),
        on_queue(
            "a small queue",
            vec![
                Set("q", "MaximumMessageSize", "1024"),
                Send("q", text(&"x".repeat(1024))),
                Send("q", text(&"x".repeat(1025))),
                Send("q", Outgoing { attributes: vec![("n", "String", "v")], ..text(&"x".repeat(1017)) }),
            ],
        ),
        on_queue(
            "send batches",
            vec![
                SendBatch("q", vec![("a", text("1")), ("b", text("\u{1}")), ("c", text("3"))]),
                Receive("q", ten()),
                SendBatch("q", vec![]),
                SendBatch("q", vec![("a", text("1")), ("a", text("2"))]),
                SendBatch("q", vec![("a.b", text("1"))]),
                SendBatch("q", vec![("a", text("1")); 11]),
                SendBatch("q", vec![("a", text(&"x".repeat(600_000))), ("b", text(&"x".repeat(600_000)))]),
                SendBatch("absent", vec![("a", text("1"))]),
            ],
        ),
        on_queue(
            "delays",
            vec![
                Send("q", Outgoing { delay: Some(1), ..text("late") }),
                Get("q", vec![VISIBLE, "ApproximateNumberOfMessagesDelayed"]),
                Receive("q", ten()),
                Receive("q", patient()),
            ],
        ),
        scenario(
            "a delay queue",
            vec![
                Create("q", vec![("DelaySeconds", "1")]),
                Send("q", text("x")),
                Receive("q", ten()),
                Receive("q", patient()),
            ],
        ),
        on_queue(
            "a fair queue",
            vec![Send("q", Outgoing { group: Some("tenant"), ..text("x") }), Receive("q", ten())],
        ),
    ]
}

pub(super) fn receiving() -> Vec<Scenario> {
    let asking = |max, visibility, wait| Receive("q", Receiving { max, visibility, wait });
    vec![
        on_queue(
            "receive parameters",
            vec![
                asking(Some(11), None, None),
                asking(None, None, Some(21)),
                asking(None, None, Some(-1)),
                Receive("absent", ten()),
                Receive("q", ten()),
            ],
        ),
        on_queue(
            "one by one and ten at once",
            vec![
                SendBatch("q", vec![("a", text("1")), ("b", text("1")), ("c", text("1"))]),
                asking(None, None, None),
                asking(Some(2), None, None),
                Receive("q", ten()),
            ],
        ),
        on_queue(
            "visibility and receive count",
            vec![
                Send("q", text("x")),
                Receive("q", ten_for(1)),
                Get("q", vec![VISIBLE, IN_FLIGHT]),
                Receive("q", ten()),
                Receive("q", patient()),
                Receive("q", ten()),
            ],
        ),
    ]
}

pub(super) fn settling() -> Vec<Scenario> {
    vec![
        on_queue(
            "deleting messages",
            vec![
                Send("q", text("x")),
                Receive("q", ten()),
                Remove("q", Of(0)),
                Remove("q", Of(0)),
                Get("q", vec![VISIBLE, IN_FLIGHT]),
                Remove("q", Text("nonsense")),
                Remove("absent", Of(0)),
            ],
        ),
        on_queue(
            "deleting after the timeout",
            vec![
                Send("q", text("x")),
                Receive("q", ten_for(1)),
                Until("q", VISIBLE, "1"),
                Remove("q", Of(0)),
                Get("q", vec![VISIBLE, IN_FLIGHT]),
            ],
        ),
        on_queue(
            "a late change of visibility",
            vec![
                Send("q", text("x")),
                Receive("q", ten_for(1)),
                Until("q", VISIBLE, "1"),
                Hide("q", Of(0), 10),
            ],
        ),
        on_queue(
            "a stale handle releases the message",
            vec![
                Send("q", text("x")),
                Receive("q", ten_for(0)),
                Receive("q", ten()),
                Hide("q", Of(0), 0),
                Get("q", vec![VISIBLE]),
            ],
        ),
        on_queue(
            "visibility changes",
            vec![
                Send("q", text("x")),
                Receive("q", ten()),
                Hide("q", Of(0), 0),
                Receive("q", ten()),
                Hide("q", Of(1), 43_201),
                Hide("q", Of(1), 1),
                Receive("q", patient()),
                Hide("q", Text("nonsense"), 1),
            ],
        ),
        on_queue(
            "delete batches",
            vec![
                SendBatch("q", vec![("a", text("1")), ("b", text("2"))]),
                Receive("q", ten()),
                RemoveBatch("q", vec![("0", Of(0)), ("1", Of(1)), ("2", Of(0))]),
                Get("q", vec![VISIBLE, IN_FLIGHT]),
                RemoveBatch("q", vec![]),
                RemoveBatch("q", vec![("a", Of(0)), ("a", Of(1))]),
                RemoveBatch("q", vec![("a.b", Of(0))]),
                RemoveBatch("q", vec![("a", Of(0)); 11]),
            ],
        ),
        on_queue(
            "visibility batches",
            vec![
                SendBatch("q", vec![("a", text("1")), ("b", text("2"))]),
                Receive("q", ten()),
                HideBatch("q", vec![("0", Of(0), 0), ("1", Of(1), 30)]),
                Receive("q", ten()),
                HideBatch("q", vec![]),
                HideBatch("q", vec![("a", Of(0), 1), ("a", Of(1), 1)]),
            ],
        ),
    ]
}
