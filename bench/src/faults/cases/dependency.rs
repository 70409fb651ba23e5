//! A dependency that is down for 45 s must kill no message, and all jobs must be done soon after its return.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::faults::effects::now_ms;
use crate::faults::lab::Lab;
use crate::faults::progress::say;
use crate::faults::row::{Goal, Row, secs};
use crate::faults::target::{Behaviour, Target};

const DOWN: Duration = Duration::from_secs(45);
const MESSAGES: usize = 40;
const MAX_RECEIVE_COUNT: u32 = 5;
/// The time from the dependency's return to the last job's end.
const GOAL: Goal = Goal::AtMost(60.0);
/// The time limit after the return.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Debug, Clone, Copy)]
enum Variant {
    Handler,
    Status500,
    Refused,
}

impl Variant {
    fn label(self) -> &'static str {
        match self {
            Self::Handler => "a handler that fails",
            Self::Status500 => "forward mode, status 500",
            Self::Refused => "forward mode, refused",
        }
    }
}

pub(super) fn measure(lab: &Lab) -> Result<Vec<Row>> {
    let variants = [Variant::Handler, Variant::Status500, Variant::Refused];
    lab.together(&variants, |variant| measure_one(lab, *variant))
}

fn measure_one(lab: &Lab, variant: Variant) -> Result<Vec<Row>> {
    let target = Target::start()?;
    let name = format!("dependency-{variant:?}").to_lowercase();
    let scene = lab.scene(&name, MAX_RECEIVE_COUNT, 30)?;
    let down = scene.file("down");
    let launch = match variant {
        Variant::Handler => {
            fs::write(&down, "")?;
            scene.worker()
        }
        Variant::Status500 | Variant::Refused => {
            let is_refused = matches!(variant, Variant::Refused);
            target.behave(if is_refused { Behaviour::Refusing } else { Behaviour::Failing });
            scene.worker().set("DRUMLINE_FORWARD_TO", target.url())
        }
    };
    let _worker = launch.start()?;
    scene.send("job", MESSAGES, &json!({ "ms": 10, "fail_while": down }))?;
    lab.pause(DOWN)?;
    let returned = now_ms();
    if matches!(variant, Variant::Handler) {
        fs::remove_file(&down)?;
    }
    target.behave(Behaviour::Ok);
    lab.until(PATIENCE, || Ok(scene.queue.count()? == 0))?;
    let dead = usize::try_from(scene.queue.dead()?)?;
    let (done, last) = match variant {
        Variant::Handler => {
            let lines = scene.effects.read()?;
            (lines.done().len(), lines.last_done())
        }
        Variant::Status500 | Variant::Refused => (target.done(), target.last_done()),
    };
    let label = variant.label();
    let note = format!("{done} of {MESSAGES} done");
    say(&format!("    {label}: {dead} dead, {note}"));
    let all_done = last.filter(|_| done == MESSAGES).map(|last| secs(last.saturating_sub(returned)));
    Ok(vec![
        Row::none_of(label, "messages dead", dead).note(note),
        Row::new(label, "s from the return to all done", 0.0, all_done).goal(GOAL),
    ])
}
