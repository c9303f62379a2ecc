//! Good lines, bad lines with their field, and mutated lines that must never panic.

use proptest::prelude::*;
use tactful_proto::v1::{OutcomeType, value::Kind};

use super::*;

const CORPUS: [&str; 10] = [
    r#"{"type":"track","userId":"customer:42","anonymousId":"a1","event":"Order Placed","messageId":"m1","timestamp":"2026-05-01T10:00:00.250Z","channel":"web","source":"shop","properties":{"total":49.9,"coupon":null,"gift":true,"address":{"city":"Aarhus","geo":{"lat":56.1}},"products":[{"id":1},{"id":2}],"matter_id":"order:7"}}"#,
    r#"{"type":"identify","anonymousId":"anon:af31","traits":{"age":44,"plan":"basic"},"originalTimestamp":"2026-05-01T12:00:00+02:00","context":{"channel":"app","source":"crm"}}"#,
    r#"{"type":"page","userId":7,"name":"Home","category":"start","properties":{"path":"/"},"sentAt":"2026-05-01T10:00:00Z"}"#,
    r#"{"type":"screen","userId":"c","name":"Balance"}"#,
    r#"{"type":"group","userId":"c","groupId":"household:3","traits":{"size":4}}"#,
    r#"{"type":"alias","userId":"customer:42","previousId":"anon:af31"}"#,
    r#"{"type":"decision","external_decision_id":"d1","subject_id":"c","action_id":"none","placement":"web_home","decision_time":"2026-05-01T10:00:00Z","selection_probability":0.5,"context":{"topic":"billing"}}"#,
    r#"{"type":"outcome","external_decision_id":"d1","subject_id":"c","outcome":"accepted","value":12.5,"occur_time":"2026-05-01T10:00:00Z","reason_code":"R","message_id":"m"}"#,
    r#"{"type":"consent","subject_id":"c","purpose":"marketing","allowed":false,"source":"form","text_version":"v2","event_time":"2026-05-01T10:00:00Z","message_id":"m"}"#,
    r#"{"type":"fact","subject_id":"c","key":"language","value":"de","purpose":"service","expire_time":"2027-05-01T10:00:00Z","event_time":"2026-05-01T10:00:00Z","channel":"web","source":"form","matter_id":"order:7","message_id":"m"}"#,
];

fn read_event(line: &str) -> Event {
    match item(line.as_bytes()).unwrap().item {
        Some(Item::Event(event)) => event,
        other => panic!("not an event: {other:?}"),
    }
}

fn refusal(line: &str) -> Refused {
    item(line.as_bytes()).expect_err(line)
}

#[test]
fn a_track_line_carries_everything() {
    let event = read_event(CORPUS[0]);
    assert_eq!(event.r#type(), EventType::Track);
    assert_eq!(event.subject_id, "customer:42", "the user wins over the anonymous visitor");
    assert_eq!(event.anonymous_id, "", "only an identify says who a visitor is");
    assert_eq!((event.message_id.as_str(), event.name.as_str()), ("m1", "Order Placed"));
    assert_eq!((event.channel.as_str(), event.source.as_str()), ("web", "shop"));
    let time = event.event_time.unwrap();
    assert_eq!((time.seconds, time.nanos), (1_777_629_600, 250_000_000));
    assert_eq!(event.matter_id, "order:7");
    let kinds: Vec<(&str, Kind)> =
        event.properties.iter().map(|(name, value)| (name.as_str(), value.kind.clone().unwrap())).collect();
    let expected = [
        ("address.city", Kind::Text("Aarhus".into())),
        ("address.geo.lat", Kind::Number(56.1)),
        ("gift", Kind::Flag(true)),
        ("products.count", Kind::Number(2.0)),
        ("total", Kind::Number(49.9)),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn other_times_channels_and_ids_are_found() {
    let event = read_event(CORPUS[1]);
    assert_eq!((event.subject_id.as_str(), event.channel.as_str(), event.source.as_str()), ("anon:af31", "app", "crm"));
    assert_eq!(event.event_time.unwrap().seconds, 1_777_629_600, "a zone is honoured");
    let page = read_event(CORPUS[2]);
    assert_eq!((page.subject_id.as_str(), page.name.as_str()), ("7", "Home"));
    assert_eq!(page.properties["category"].kind, Some(Kind::Text("start".into())));
    assert_eq!(read_event(CORPUS[3]).event_time, None, "the server's clock");
    assert_eq!(read_event(CORPUS[4]).properties["group_id"].kind, Some(Kind::Text("household:3".into())));
    assert_eq!(read_event(CORPUS[5]).previous_id, "anon:af31");
}

#[test]
fn an_anonymous_id_is_never_taken_for_a_customers() {
    let of = |line: &str| {
        let event = read_event(line);
        (event.subject_id, event.anonymous_id)
    };
    assert_eq!(of(r#"{"type":"page","anonymousId":"af31"}"#), ("anon:af31".into(), String::new()));
    assert_eq!(of(r#"{"type":"page","anonymousId":7}"#), ("anon:7".into(), String::new()));
    assert_eq!(of(r#"{"type":"page","anonymousId":"device:9"}"#), ("device:9".into(), String::new()));
    let both = r#"{"type":"identify","userId":"customer:42","anonymousId":"af31"}"#;
    assert_eq!(of(both), ("customer:42".into(), "anon:af31".into()));
    let long = |bytes: usize| format!(r#"{{"type":"page","anonymousId":"{}"}}"#, "x".repeat(bytes));
    assert_eq!(read_event(&long(123)).subject_id.len(), 128);
    let found = refusal(&long(124));
    assert_eq!((found.field.as_str(), found.message.contains("at most 123")), ("anonymousId", true), "{found}");
}

#[test]
fn a_time_before_1970_keeps_its_nanoseconds_positive() {
    let event = read_event(r#"{"type":"page","userId":"c","timestamp":"1969-12-31T23:59:59.5Z"}"#);
    let time = event.event_time.unwrap();
    assert_eq!((time.seconds, time.nanos), (-1, 500_000_000));
}

#[test]
fn our_own_line_types_are_read() {
    let Some(Item::ExternalDecision(decision)) = item(CORPUS[6].as_bytes()).unwrap().item else { panic!() };
    assert_eq!((decision.action_id.as_str(), decision.selection_probability), ("none", 0.5));
    assert_eq!(decision.context["topic"].kind, Some(Kind::Text("billing".into())));
    let Some(Item::Outcome(outcome)) = item(CORPUS[7].as_bytes()).unwrap().item else { panic!() };
    assert_eq!((outcome.r#type(), outcome.value), (OutcomeType::Accepted, 12.5));
    assert_eq!(outcome.external_decision_id, "d1");
    let Some(Item::Consent(consent)) = item(CORPUS[8].as_bytes()).unwrap().item else { panic!() };
    assert_eq!((consent.subject_id.as_str(), consent.purpose.as_str(), consent.allowed), ("c", "marketing", false));
    assert_eq!((consent.source.as_str(), consent.text_version.as_str()), ("form", "v2"));
    assert_eq!(consent.event_time.unwrap().seconds, 1_777_629_600);
    let fact = |line: &str| match item(line.as_bytes()).unwrap().item {
        Some(Item::Fact(fact)) => fact,
        other => panic!("not a fact: {other:?}"),
    };
    let told = fact(CORPUS[9]);
    assert_eq!((told.key.as_str(), told.value.unwrap().kind), ("language", Some(Kind::Text("de".into()))));
    assert_eq!((told.channel.as_str(), told.source.as_str(), told.matter_id.as_str()), ("web", "form", "order:7"));
    assert_eq!(told.expire_time.unwrap().seconds - told.event_time.unwrap().seconds, 365 * 86_400);
    assert_eq!(fact(&CORPUS[9].replace("\"de\"", "null")).value, None, "taken back");
    assert_eq!(fact(&CORPUS[9].replace("\"de\"", "2.5")).value.unwrap().kind, Some(Kind::Number(2.5)));
}

#[test]
fn each_refusal_names_its_field() {
    let long = "x".repeat(300);
    let cases = [
        (r#"{"userId":"c"}"#.to_owned(), "type", "missing"),
        (r#"{"type":"trak","userId":"c"}"#.into(), "type", "did you mean `track`?"),
        (r#"{"type":7}"#.into(), "type", "must be a text, not a number"),
        (r#"{"type":"track","event":"e"}"#.into(), "userId", "anonymousId"),
        (r#"{"type":"track","event":"e","userId":""}"#.into(), "userId", "empty"),
        (r#"{"type":"track","event":"e","userId":1.5}"#.into(), "userId", "whole number"),
        (format!(r#"{{"type":"track","event":"e","userId":"{long}"}}"#), "userId", "300 bytes long; at most 128"),
        (r#"{"type":"track","userId":"c"}"#.into(), "event", "missing"),
        (r#"{"type":"page","userId":"c","timestamp":"yesterday"}"#.into(), "timestamp", "`yesterday`"),
        (r#"{"type":"page","userId":"c","timestamp":1777629600}"#.into(), "timestamp", "must be a text"),
        (r#"{"type":"page","userId":"c","sentAt":"2026-05-01T10:00:00"}"#.into(), "sentAt", "zone"),
        (r#"{"type":"page","userId":"c","properties":[]}"#.into(), "properties", "must be an object"),
        (
            format!(r#"{{"type":"page","userId":"c","properties":{{"a":{{"url":"{long}"}}}}}}"#),
            "properties.a.url",
            "300",
        ),
        (r#"{"type":"page","userId":"c","properties":{"matter_id":true}}"#.into(), "properties.matter_id", "text"),
        (r#"{"type":"page","userId":"c","context":{"channel":7}}"#.into(), "context.channel", "must be a text"),
        (r#"{"type":"group","userId":"c"}"#.into(), "groupId", "missing"),
        (r#"{"type":"alias","userId":"c"}"#.into(), "previousId", "missing"),
        (CORPUS[6].replace("0.5", "0"), "selection_probability", "0 is not above 0"),
        (CORPUS[6].replace("0.5", "1.5"), "selection_probability", "at most 1"),
        (CORPUS[6].replace("placement", "placment"), "placment", "did you mean `placement`?"),
        (CORPUS[7].replace("accepted", "acepted"), "outcome", "did you mean `accepted`?"),
        (CORPUS[9].replace(r#","value":"de""#, ""), "value", "missing; what was told; null to take it back"),
        (CORPUS[9].replace("\"de\"", "[1]"), "value", "null, not an array"),
        (CORPUS[9].replace("\"de\"", &format!("\"{long}\"")), "value", "300 bytes long; at most 256"),
        (CORPUS[9].replace("language", ""), "key", "empty"),
        (CORPUS[9].replace("expire_time", "expires_time"), "expires_time", "did you mean `expire_time`?"),
        (CORPUS[8].replace(r#","allowed":false"#, ""), "allowed", "missing; true to allow"),
        (CORPUS[8].replace("false", "\"no\""), "allowed", "must be true or false, not a text"),
        (CORPUS[8].replace("marketing", ""), "purpose", "empty"),
        (CORPUS[8].replace("text_version", "text_verson"), "text_verson", "did you mean `text_version`?"),
        (CORPUS[7].replace("external_decision_id", "outcome_token").replace("d1", ""), "outcome_token", "either"),
    ];
    for (line, field, message) in cases {
        let found = refusal(&line);
        assert_eq!(found.field, field, "{line}: {found}");
        assert!(found.message.contains(message), "{line}: {found}");
    }
}

#[test]
fn what_is_no_json_object_is_refused_with_its_column() {
    assert_eq!(refusal(r#"{"type":"track""#).to_string(), "not valid JSON at column 15: EOF while parsing an object");
    assert!(refusal("[1]").message.contains("not a JSON object"));
    assert!(refusal(r#"{"type":"page","userId":"c","properties":{"a":1e999}}"#).message.contains("out of range"));
    assert!(refusal(r#"{"type":"page","userId":"c","properties":{"a":NaN}}"#).message.contains("not valid JSON"));
    assert!(item(b"{\"type\":\"\xff\"}").is_err());
}

#[test]
fn too_many_properties_and_endless_nesting_are_refused() {
    let many: Vec<String> = (0..65).map(|index| format!(r#""p{index}":1"#)).collect();
    let found = refusal(&format!(r#"{{"type":"page","userId":"c","properties":{{{}}}}}"#, many.join(",")));
    assert_eq!((found.field.as_str(), found.message.as_str()), ("properties", "65 properties; at most 64"));
    let deep = format!(r#"{{"type":"page","userId":"c","properties":{}1{}}}"#, r#"{"a":"#.repeat(90), "}".repeat(90));
    assert!(refusal(&deep).message.contains("a name must have"), "{}", refusal(&deep));
    let bottomless = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(refusal(&bottomless).message.contains("recursion limit"));
}

proptest! {
    #[test]
    fn a_mutated_line_never_panics(which in 0..CORPUS.len(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..8)) {
        let mut line = CORPUS[which].as_bytes().to_vec();
        for (at, byte, edit) in edits {
            if line.is_empty() { break; }
            let at = at.index(line.len());
            match edit {
                0 => line[at] = byte,
                1 => line.insert(at, byte),
                _ => { line.remove(at); }
            }
        }
        if let Ok(read) = item(&line) {
            prop_assert!(read.item.is_some());
        }
    }

    #[test]
    fn whatever_is_read_is_within_the_bounds(name in "[a-z]{1,140}", text in ".{0,300}", depth in 0..40_usize) {
        let open = format!(r#"{{"{name}":"#).repeat(depth);
        let text = serde_json::to_string(&text).unwrap();
        let line = format!(r#"{{"type":"page","userId":"c","properties":{{"p":{open}{text}{}}}}}"#, "}".repeat(depth));
        if let Ok(IngestItem { item: Some(Item::Event(event)) }) = item(line.as_bytes()) {
            for (name, value) in event.properties {
                prop_assert!(name.len() <= 128);
                if let Some(Kind::Text(text)) = value.kind { prop_assert!(text.len() <= 256); }
            }
        }
    }
}
