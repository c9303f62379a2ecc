//! Catalogues: what applying one changed, or would change.

use serde_json::{Value, json};
use tactful_proto::v1::{ApplyResponse, CatalogChange, ChangeType};

use super::value::plural;
use crate::output::Render;

/// What `catalog apply` did.
pub(crate) struct Applied<'a> {
    /// The server's answer.
    pub(crate) answer: &'a ApplyResponse,
    /// Whether nothing was to be done.
    pub(crate) dry_run: bool,
}

/// What `catalog diff` found.
pub(crate) struct Compared<'a>(pub(crate) &'a ApplyResponse);

impl Render for Applied<'_> {
    fn json(&self) -> Value {
        let mut value = differences(self.answer);
        value["applied"] = self.answer.applied.into();
        value["dry_run"] = self.dry_run.into();
        value
    }

    fn text(&self) -> String {
        let ApplyResponse { catalog_version, ruleset_version, .. } = self.answer;
        let end = match (self.answer.applied, self.dry_run) {
            (true, _) => format!("catalogue {catalog_version} decides now, ruleset {ruleset_version}\n"),
            (false, true) => format!("catalogue {catalog_version} is sound; nothing was applied\n"),
            (false, false) => format!("catalogue {catalog_version} was in use already\n"),
        };
        told(self.answer) + &end
    }
}

impl Render for Compared<'_> {
    fn json(&self) -> Value {
        differences(self.0)
    }

    fn text(&self) -> String {
        if self.0.changes.is_empty() { "no differences\n".into() } else { told(self.0) }
    }
}

fn differences(answer: &ApplyResponse) -> Value {
    let change = |change: &CatalogChange| {
        json!({
            "kind": change.kind,
            "id": change.id,
            "change": word(change),
            "starts_empty": change.starts_empty,
        })
    };
    json!({
        "catalog_version": answer.catalog_version,
        "ruleset_version": answer.ruleset_version,
        "schema_changed": answer.schema_changed,
        "changes": answer.changes.iter().map(change).collect::<Vec<_>>(),
        "changes_left_out": answer.changes_left_out,
    })
}

fn word(change: &CatalogChange) -> &'static str {
    match change.r#type() {
        ChangeType::Added => "added",
        ChangeType::Removed => "removed",
        ChangeType::Changed => "changed",
        ChangeType::Unspecified => "",
    }
}

/// One line for each change, and what becomes of customers' state.
fn told(answer: &ApplyResponse) -> String {
    let mut text = String::new();
    for change in &answer.changes {
        let sign = match change.r#type() {
            ChangeType::Added => '+',
            ChangeType::Removed => '-',
            ChangeType::Changed | ChangeType::Unspecified => '~',
        };
        let empty = if change.starts_empty { "  starts empty: it is made of something else now" } else { "" };
        text += format!("{sign} {} {}{empty}", change.kind, change.id).trim_end();
        text.push('\n');
    }
    if answer.changes_left_out > 0 {
        text += &format!("and {} more\n", plural(answer.changes_left_out as usize, "change"));
    }
    if answer.schema_changed {
        let empty = answer.changes.iter().filter(|change| change.starts_empty).count();
        let started = match empty {
            0 => "no feature starts anew".into(),
            count => format!("{} from empty", plural(count, "feature")),
        };
        text += &format!("customers' state goes on under another schema: {started}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(changes: Vec<CatalogChange>) -> ApplyResponse {
        let schema_changed = changes.iter().any(|change| change.kind == "feature");
        ApplyResponse { catalog_version: "c1".into(), schema_changed, changes, ..ApplyResponse::default() }
    }

    fn change(kind: &str, id: &str, change: ChangeType, starts_empty: bool) -> CatalogChange {
        CatalogChange { kind: kind.into(), id: id.into(), r#type: change.into(), starts_empty }
    }

    #[test]
    fn differences_are_told_one_a_line() {
        let answer = answer(vec![
            change("company", "", ChangeType::Changed, false),
            change("feature", "orders", ChangeType::Changed, true),
            change("feature", "visits", ChangeType::Added, false),
            change("action", "card", ChangeType::Removed, false),
        ]);
        assert_eq!(
            Compared(&answer).text(),
            "~ company\n~ feature orders  starts empty: it is made of something else now\n+ feature visits\n\
             - action card\ncustomers' state goes on under another schema: 1 feature from empty\n"
        );
        assert_eq!(Compared(&answer).json()["changes"][1]["starts_empty"], true);
        assert_eq!(Compared(&answer).json()["changes"][3]["change"], "removed");
    }

    #[test]
    fn an_apply_says_what_decides() {
        let nothing = answer(Vec::new());
        assert_eq!(Compared(&nothing).text(), "no differences\n");
        assert_eq!(Applied { answer: &nothing, dry_run: false }.text(), "catalogue c1 was in use already\n");
        let told = Applied { answer: &nothing, dry_run: true }.text();
        assert_eq!(told, "catalogue c1 is sound; nothing was applied\n");
        let applied = ApplyResponse { applied: true, ruleset_version: "r1".into(), ..nothing };
        assert_eq!(Applied { answer: &applied, dry_run: false }.text(), "catalogue c1 decides now, ruleset r1\n");
    }
}
