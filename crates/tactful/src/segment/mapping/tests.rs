//! Mappings as declared, records as they come, and everything that is wrong with either.

use tactful_proto::v1::value::Kind;

use super::*;

/// As docs/operations.md shows it.
const OFFERS: &str = r#"
subject = { field = "person", prefix = "customer:" }
name = { field = "event" }
time = { field = "time", unit = "hours", epoch = "2024-01-01T00:00:00Z" }
properties = { field = "value" }
message_id = "hash"
constants = { channel = "app", source = "offers" }

[aliases]
"offer id" = "offer_id"
"#;

fn mapping(text: &str) -> Mapping {
    Mapping::parse(text).unwrap()
}

fn event(mapping: &Mapping, record: &str) -> Event {
    match mapping.item(record.as_bytes()).unwrap().item {
        Some(Item::Event(event)) => event,
        other => panic!("{other:?}"),
    }
}

fn text(event: &Event, key: &str) -> Option<String> {
    match event.properties.get(key)?.kind.as_ref()? {
        Kind::Text(text) => Some(text.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_record_becomes_the_event_that_the_mapping_says() {
    let offers = mapping(OFFERS);
    let received =
        event(&offers, r#"{"person": "78af", "event": "offer received", "value": {"offer id": "9b98"}, "time": 6}"#);
    assert_eq!((received.subject_id.as_str(), received.name.as_str()), ("customer:78af", "offer received"));
    assert_eq!((received.channel.as_str(), received.source.as_str()), ("app", "offers"));
    assert_eq!(received.r#type(), EventType::Track);
    assert_eq!(received.event_time.unwrap().seconds, 1_704_067_200 + 6 * 3_600);
    assert_eq!(text(&received, "offer_id").as_deref(), Some("9b98"));
    assert_eq!(received.properties.len(), 1);
}

#[test]
fn spellings_and_order_of_keys_do_not_change_the_message_id() {
    let offers = mapping(OFFERS);
    let id = |record: &str| event(&offers, record).message_id;
    let first = id(r#"{"person":"a","event":"e","value":{"offer id":"1","reward":2},"time":0}"#);
    assert_eq!(first, id(r#"{ "time":0, "value":{"reward":2,"offer_id":"1"}, "event":"e", "person":"a" }"#));
    for other in [
        r#"{"person":"b","event":"e","value":{"offer id":"1","reward":2},"time":0}"#,
        r#"{"person":"a","event":"e","value":{"offer id":"1","reward":2},"time":1}"#,
        r#"{"person":"a","event":"e","value":{"offer id":"1","reward":3},"time":0}"#,
        r#"{"person":"a","event":"e","value":{"offer id":"1","reward":"2"},"time":0}"#,
        r#"{"person":"a","event":"e","value":{"offer id":["1"],"reward":2},"time":0}"#,
    ] {
        assert_ne!(first, id(other), "{other}");
    }
}

#[test]
fn times_are_counted_from_the_epoch_in_their_unit() {
    let at = |unit: &str, time: &str| {
        let text = format!("subject.field = \"s\"\nconstants.name = \"E\"\ntime = {{ field = \"t\", {unit} }}");
        let event = event(&mapping(&text), &format!("{{\"s\":\"a\",\"t\":{time}}}"));
        let time = event.event_time.unwrap();
        time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000
    };
    assert_eq!(at("unit = \"seconds\"", "1700000000.25"), 1_700_000_000_250);
    assert_eq!(at("unit = \"milliseconds\"", "1700000000250"), 1_700_000_000_250);
    assert_eq!(at("unit = \"hours\", epoch = \"2024-01-01T01:00:00+01:00\"", "-1.5"), 1_704_067_200_000 - 5_400_000);
    assert_eq!(at("unit = \"rfc3339\"", "\"2024-01-01T00:00:00.5Z\""), 1_704_067_200_500);
}

#[test]
fn what_nothing_names_is_a_property_if_no_object_holds_them() {
    let flat = mapping("subject.field = \"who\"\nname.field = \"what\"\nmessage_id = { field = \"id\" }");
    let event =
        event(&flat, r#"{"who":7,"what":"Seen","id":"m1","page":"home","deep":{"er":true},"matter_id":"fault:1"}"#);
    assert_eq!((event.subject_id.as_str(), event.message_id.as_str()), ("7", "m1"));
    assert_eq!(event.properties.keys().collect::<Vec<_>>(), ["deep.er", "page"]);
    assert_eq!((event.matter_id.as_str(), event.event_time), ("fault:1", None));
}

#[test]
fn a_record_that_does_not_fit_is_refused_by_its_field() {
    let offers = mapping(OFFERS);
    for (record, expected) in [
        ("{\"person\":", "not valid JSON"),
        ("[1]", "not a JSON object"),
        (r#"{"event":"e","value":{},"time":0}"#, "person: missing"),
        (r#"{"person":{},"event":"e","value":{},"time":0}"#, "person: must be a text or a whole number"),
        (r#"{"person":"a","value":{},"time":0}"#, "event: missing"),
        (r#"{"person":"a","event":"e","value":{}}"#, "time: missing"),
        (r#"{"person":"a","event":"e","value":{},"time":"6"}"#, "time: must be a number"),
        (r#"{"person":"a","event":"e","value":{},"time":1e300}"#, "time: 1"),
        (r#"{"person":"a","event":"e","value":5,"time":0}"#, "value: must be an object"),
        (
            r#"{"person":"a","event":"e","value":{"offer id":"1","offer_id":"2"},"time":0}"#,
            "another spelling of offer_id is there as well",
        ),
    ] {
        let refused = offers.item(record.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains(expected), "{record}: {refused}");
    }
    let text = mapping("subject.field = \"s\"\nconstants.name = \"E\"\ntime = { field = \"t\", unit = \"rfc3339\" }");
    let refused = text.item(br#"{"s":"a","t":"yesterday"}"#).unwrap_err().to_string();
    assert!(refused.contains("t: `yesterday` is no ISO 8601 time"), "{refused}");
}

#[test]
fn a_mapping_that_is_wrong_is_refused_with_line_and_hint() {
    for (from, to, expected) in [
        ("name =", "nme =", "line 3: unknown key `nme`; did you mean `name`?"),
        ("\"person\", prefix", "\"person\", prefx", "line 2: unknown key `prefx`; did you mean `prefix`?"),
        ("\"hash\"", "\"sha\"", "line 6: invalid value: string \"sha\", expected \"hash\" or { field"),
        ("\"hash\"", "{ feild = \"id\" }", "line 6: unknown key `feild`; did you mean `field`?"),
        ("\"hours\"", "\"days\"", "line 4: unknown variant `days`, expected one of `hours`, `seconds`"),
        ("2024-01-01T00:00:00Z", "2024-01-01", "line 4: `time.epoch` is no time in RFC 3339"),
        ("\"hours\"", "\"rfc3339\"", "line 4: `time.epoch` says nothing about times that are texts"),
        ("{ field = \"value\" }", "{ field = \"\" }", "line 5: `properties` names no field"),
        ("{ field = \"value\" }", "{ field = \"offer id\" }", "line 5: `offer id` is an alias of `offer_id`"),
        ("source = \"offers\"", "name = \"E\"", "line 3: the events' name comes from"),
        ("name = { field = \"event\" }\n", "", "line 6: the events' name comes from"),
        ("= \"offer_id\"", "= \"offer id\"", "line 10: `offer id` is an alias itself"),
        ("= \"offer_id\"", "= \"\"", "line 10: an alias or its key is empty"),
        ("message_id", "entry_field = \"protobuf\"\nmessage_id", "line 6: `entry_field` must be"),
        ("subject = { field = \"person\", prefix = \"customer:\" }\n", "", "missing field `subject`"),
        ("[aliases]", "[aliases", "line 9"),
    ] {
        let problems = Mapping::parse(&OFFERS.replacen(from, to, 1)).unwrap_err().join("\n");
        assert!(problems.contains(expected), "{to}: {problems}");
    }
    let many: String = (0..65).map(|number| format!("a{number} = \"b\"\n")).collect();
    let problems = Mapping::parse(&format!("{OFFERS}{many}")).unwrap_err().join("\n");
    assert!(problems.contains("line 9: 66 aliases, at most 64"), "{problems}");
    let long = Mapping::parse(&OFFERS.replace("customer:", &"c".repeat(129))).unwrap_err().join("\n");
    assert!(long.contains("line 2: `subject.prefix` has 129 bytes, at most 128"), "{long}");
}

#[test]
fn a_mapping_that_is_not_there_is_named() {
    let error = Mapping::read(Path::new("no/such/mapping.toml")).unwrap_err();
    assert!(error.to_string().contains("cannot read the mapping no/such/mapping.toml"), "{error}");
}
