//! `tactful decide`: one decision, asked for and shown. The server decides; nothing is checked here.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::Result;
use tactful_proto::v1::{
    DecideRequest, Explain, Mode, PlacementRequest, Value, decision_service_client::DecisionServiceClient,
};

use super::{connect, done, status};
use crate::{
    cli::{Assignment, DecideArgs, ExplainLevel, Global},
    render::decision::Decision,
};

/// Asks and shows.
pub(crate) async fn run(global: &Global, args: &DecideArgs) -> Result<ExitCode> {
    let mut client = DecisionServiceClient::new(connect(global).await?);
    let answer = client.decide(request(args)).await.map_err(|status| status::refused(&status))?;
    let rule_versions = args.explain == ExplainLevel::Full;
    done(global, &Decision { subject: &args.subject, response: answer.get_ref(), rule_versions })
}

fn request(args: &DecideArgs) -> DecideRequest {
    let placements = args.placements.iter();
    DecideRequest {
        subject_id: args.subject.clone(),
        placements: placements.map(|p| PlacementRequest { placement: p.id.clone(), count: p.count }).collect(),
        context: named(&args.context, "context."),
        candidate_actions: args.candidates.clone(),
        excluded_actions: args.excluded.clone(),
        profile_overrides: named(&args.overrides, "customer."),
        explain: Explain::from(args.explain).into(),
        mode: if args.test { Mode::Test } else { Mode::Live }.into(),
        request_id: String::new(),
        matter_id: args.matter.clone().unwrap_or_default(),
        min_position: args.min_position.clone().unwrap_or_default(),
        non_personal: args.non_personal,
    }
}

/// Values by name; a name may be written as rules and explanations write it, with its prefix.
fn named(given: &[Assignment], prefix: &str) -> BTreeMap<String, Value> {
    let own = |key: &str| key.strip_prefix(prefix).unwrap_or(key).to_owned();
    given.iter().map(|given| (own(&given.key), given.value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tactful_proto::v1::value::Kind;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn the_command_line_becomes_the_request() {
        let line = "tactful decide customer:42 -p web_home:3 -p web_account -c context.topic=billing --set customer.age=71 \
                    --exclude upgrade --explain full --test --matter order:7";
        let Command::Decide(args) = Cli::parse_from(line.split_whitespace()).command else { panic!() };
        let request = request(&args);
        assert_eq!(request.placements[0], PlacementRequest { placement: "web_home".into(), count: 3 });
        assert_eq!(request.placements[1].count, 0);
        assert_eq!(request.context["topic"].kind, Some(Kind::Text("billing".into())));
        assert_eq!(request.profile_overrides["age"].kind, Some(Kind::Number(71.0)));
        assert_eq!((request.explain(), request.mode()), (Explain::Full, Mode::Test));
        assert_eq!(
            (request.excluded_actions.as_slice(), request.matter_id.as_str()),
            (&["upgrade".to_owned()][..], "order:7")
        );
    }
}
