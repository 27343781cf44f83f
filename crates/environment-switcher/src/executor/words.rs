//! Triggers and errors, in words.

use cutover_domain::switch::{Command, ResourceChange, Trigger};

/// What led to an entry, in the journal's words.
pub(super) fn name_of(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Tick => "tick".to_owned(),
        Trigger::Alarm { name, state, .. } => format!("alarm {name} {}", state.as_str()),
        Trigger::Command(command, _) => match command {
            Command::Start(_) => "start",
            Command::Pause => "pause",
            Command::Resume => "resume",
            Command::Promote => "promote",
            Command::RollBack => "rollback",
            Command::Drill { .. } => "drill",
        }
        .to_owned(),
        Trigger::Resource(change) => match change {
            ResourceChange::Create { .. } => "stack create",
            ResourceChange::Update { .. } => "stack update",
            ResourceChange::Delete { .. } => "stack delete",
        }
        .to_owned(),
        Trigger::Outcome => "read back".to_owned(),
    }
}

/// An error and its source, in one line.
pub fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    // Adapters put what the service said into the first source; what lies below repeats it.
    if let Some(error) = error.source() {
        text.push_str(": ");
        text.push_str(&error.to_string());
    }
    text
}
