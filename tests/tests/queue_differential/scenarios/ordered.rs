//! FIFO queues, dead-letter queues and move tasks.

use super::{FIFO, FIFO_REDRIVE, IN_FLIGHT, REDRIVE_AT_1, REDRIVE_AT_2, VISIBLE, on_fifo, scenario};
use crate::script::Handle::Of;
use crate::script::Step::{Create, Get, Hide, Move, Moves, Receive, Remove, Send, Set, Sources, Until};
use crate::script::{Outgoing, Receiving, Scenario, ordered, patient, ten, ten_for, text};

pub(super) fn fifo() -> Vec<Scenario> {
    let grouped = |body: &str| Outgoing { group: Some("g"), ..text(body) };
    vec![
        on_fifo(
            "what a fifo send needs",
            vec![
                Send("q.fifo", text("x")),
                Send("q.fifo", grouped("x")),
                Send("q.fifo", Outgoing { delay: Some(1), ..ordered("g", "1") }),
                Send("q.fifo", ordered("g", "a b")),
                Send("q.fifo", ordered("g", "1")),
                Get("q.fifo", vec!["All"]),
            ],
        ),
        on_fifo(
            "groups in order",
            vec![
                Send("q.fifo", ordered("a", "a1")),
                Send("q.fifo", ordered("a", "a2")),
                Receive("q.fifo", Receiving { max: Some(1), ..ten() }),
                Receive("q.fifo", ten()),
                Send("q.fifo", ordered("b", "b1")),
                Receive("q.fifo", ten()),
                Remove("q.fifo", Of(0)),
                Receive("q.fifo", ten()),
            ],
        ),
        on_fifo(
            "a released group begins again",
            vec![
                Send("q.fifo", ordered("g", "1")),
                Send("q.fifo", ordered("g", "2")),
                Receive("q.fifo", ten_for(1)),
                Receive("q.fifo", patient()),
            ],
        ),
        on_fifo(
            "a front that comes back",
            vec![
                Send("q.fifo", ordered("g", "1")),
                Send("q.fifo", ordered("g", "2")),
                Receive("q.fifo", ten()),
                Hide("q.fifo", Of(0), 0),
                Receive("q.fifo", ten()),
            ],
        ),
        on_fifo(
            "an expired handle",
            vec![
                Send("q.fifo", ordered("g", "1")),
                Receive("q.fifo", ten_for(1)),
                Until("q.fifo", VISIBLE, "1"),
                Remove("q.fifo", Of(0)),
                Receive("q.fifo", ten()),
                Remove("q.fifo", Of(1)),
                Get("q.fifo", vec![VISIBLE, IN_FLIGHT]),
            ],
        ),
        on_fifo(
            "deduplication by id",
            vec![
                Send("q.fifo", ordered("g", "1")),
                Send("q.fifo", ordered("g", "1")),
                Send("q.fifo", ordered("other", "1")),
                Receive("q.fifo", ten()),
                Remove("q.fifo", Of(0)),
                Send("q.fifo", ordered("g", "1")),
                Receive("q.fifo", ten()),
            ],
        ),
        scenario(
            "deduplication by content",
            vec![
                Create("q.fifo", vec![FIFO, ("ContentBasedDeduplication", "true")]),
                Send("q.fifo", grouped("same")),
                Send("q.fifo", Outgoing { attributes: vec![("n", "String", "v")], ..grouped("same") }),
                Send("q.fifo", grouped("other")),
                Receive("q.fifo", ten()),
            ],
        ),
        scenario(
            "deduplication per group",
            vec![
                Create("q.fifo", vec![FIFO, ("DeduplicationScope", "messageGroup")]),
                Send("q.fifo", ordered("a", "1")),
                Send("q.fifo", ordered("b", "1")),
                Send("q.fifo", ordered("a", "1")),
                Get("q.fifo", vec![VISIBLE]),
            ],
        ),
    ]
}

pub(super) fn dead_letters() -> Vec<Scenario> {
    vec![
        scenario(
            "redrive",
            vec![
                Create("dlq", vec![]),
                Create("q", vec![REDRIVE_AT_2]),
                Sources("dlq"),
                Send("q", Outgoing { attributes: vec![("n", "String", "v")], ..text("x") }),
                Receive("q", ten_for(0)),
                Receive("q", ten_for(0)),
                Receive("dlq", ten()),
                Receive("q", ten()),
                Get("q", vec![VISIBLE, IN_FLIGHT]),
                Receive("dlq", ten()),
            ],
        ),
        scenario(
            "move tasks",
            vec![
                Create("dlq", vec![]),
                Create("q", vec![REDRIVE_AT_1]),
                Create("elsewhere", vec![]),
                Moves("dlq"),
                Send("q", text("x")),
                Receive("q", ten_for(0)),
                Receive("q", ten()),
                Move("dlq", None),
                Until("q", VISIBLE, "1"),
                Until("dlq", VISIBLE, "0"),
                Receive("q", ten_for(0)),
                Move("q", None),
                Move("absent", None),
                Move("dlq", Some("absent")),
            ],
        ),
        scenario(
            "wrong policies",
            vec![
                Create("dlq", vec![]),
                Create("q", vec![]),
                Set("q", "RedrivePolicy", r#"{"deadLetterTargetArn":"{{dlq}}"}"#),
                Set("q", "RedrivePolicy", r#"{"deadLetterTargetArn":"{{dlq}}","maxReceiveCount":1001}"#),
                Set("q", "RedrivePolicy", r#"{"deadLetterTargetArn":"{{dlq}}","maxReceiveCount":1000}"#),
                Set("q", "RedrivePolicy", ""),
                Get("q", vec!["RedrivePolicy"]),
            ],
        ),
        scenario(
            "fifo redrive keeps the order of the rest",
            vec![
                Create("dlq.fifo", vec![FIFO]),
                Create("q.fifo", vec![FIFO, FIFO_REDRIVE]),
                Send("q.fifo", ordered("g", "1")),
                Receive("q.fifo", ten_for(0)),
                Receive("q.fifo", ten()),
                Get("dlq.fifo", vec![VISIBLE]),
            ],
        ),
    ]
}
