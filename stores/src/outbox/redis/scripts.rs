//! The scripts.

use ::redis::Script;

/// The part that all scripts share.
const COMMON: &str = include_str!("scripts/common.lua");

pub(super) struct Scripts {
    pub(super) add: Script,
    pub(super) add_unique: Script,
    pub(super) take: Script,
    pub(super) conclude: Script,
    pub(super) leave: Script,
    pub(super) operate: Script,
    pub(super) lag: Script,
    pub(super) list: Script,
    pub(super) show: Script,
    pub(super) change: Script,
    pub(super) lead: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let script = |text: &str| Script::new(&format!("{COMMON}{text}"));
        Self {
            add: script(include_str!("scripts/add.lua")),
            add_unique: script(include_str!("scripts/add_unique.lua")),
            take: script(include_str!("scripts/take.lua")),
            conclude: script(include_str!("scripts/conclude.lua")),
            leave: script(include_str!("scripts/leave.lua")),
            operate: script(include_str!("scripts/operate.lua")),
            lag: script(include_str!("scripts/lag.lua")),
            list: script(include_str!("scripts/list.lua")),
            show: script(include_str!("scripts/show.lua")),
            change: script(include_str!("scripts/change.lua")),
            lead: script(include_str!("scripts/lead.lua")),
        }
    }
}
