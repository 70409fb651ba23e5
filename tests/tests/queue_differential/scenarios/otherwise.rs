//! Scripts in which `LocalStack` differs from AWS's documentation; see [`crate::differences`].

use super::{IN_FLIGHT, REDRIVE_AT_1, VISIBLE, on_fifo, on_queue, scenario};
use crate::script::Handle::{Of, Text};
use crate::script::Step::{
    Create, Delete, Get, Hide, HideBatch, Move, Purge, Receive, Remove, RemoveBatch, Send, Set,
};
use crate::script::{Outgoing, Receiving, Scenario, ordered, ten, ten_for, text};

pub(super) fn documented_otherwise() -> Vec<Scenario> {
    vec![
        on_queue(
            "twelve hours",
            vec![Send("q", text("x")), Receive("q", ten_for(5)), Hide("q", Of(0), 43_200)],
        ),
        on_queue(
            "a stale handle deletes nothing",
            vec![
                Send("q", text("x")),
                Receive("q", ten_for(0)),
                Receive("q", ten()),
                Remove("q", Of(0)),
                Get("q", vec![IN_FLIGHT]),
            ],
        ),
        on_fifo(
            "a later message that comes back",
            vec![
                Send("q.fifo", ordered("g", "1")),
                Send("q.fifo", ordered("g", "2")),
                Send("q.fifo", ordered("g", "3")),
                Receive("q.fifo", Receiving { max: Some(2), ..ten() }),
                Hide("q.fifo", Of(1), 0),
                Receive("q.fifo", ten()),
            ],
        ),
        on_queue("too long a delay", vec![Send("q", Outgoing { delay: Some(901), ..text("x") })]),
        on_queue("purging twice", vec![Purge("q"), Purge("q")]),
        on_queue("creating right after deleting", vec![Delete("q"), Create("q", vec![])]),
        scenario(
            "a closed dead-letter queue",
            vec![
                Create("dlq", vec![("RedriveAllowPolicy", r#"{"redrivePermission":"denyAll"}"#)]),
                Create("q", vec![REDRIVE_AT_1]),
            ],
        ),
        scenario("no dead-letter queue", vec![Create("q", vec![REDRIVE_AT_1])]),
        on_queue(
            "attribute ranges",
            vec![Set("q", "VisibilityTimeout", "43201"), Set("q", "DelaySeconds", "901")],
        ),
        on_queue(
            "too many attributes",
            vec![Send(
                "q",
                Outgoing {
                    attributes: ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]
                        .map(|name| (name, "String", "v"))
                        .to_vec(),
                    ..text("x")
                },
            )],
        ),
        on_queue(
            "whose fault",
            vec![
                RemoveBatch("q", vec![("0", Text("nonsense"))]),
                HideBatch("q", vec![("0", Text("nonsense"), 1)]),
            ],
        ),
        on_queue("a range of visibility", vec![Send("q", text("x")), Receive("q", ten_for(43_201))]),
        on_queue(
            "a number that is none",
            vec![Send("q", Outgoing { attributes: vec![("n", "Number", "one")], ..text("x") })],
        ),
        scenario(
            "a message of no source",
            vec![
                Create("dlq", vec![]),
                Create("q", vec![REDRIVE_AT_1]),
                Send("dlq", text("by hand")),
                Move("dlq", None),
                Get("dlq", vec![VISIBLE]),
            ],
        ),
    ]
}
