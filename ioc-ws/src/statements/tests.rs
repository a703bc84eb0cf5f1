use ioc_core::decision::{Cause, Evidence, Handling, IncidentState};
use ioc_core::reading::AttributesBuffer;
use ioc_core::time::Timestamp;

use super::*;
use crate::examples::{id, incident};

fn statement(sensor: &str, reading: &str) -> Statement {
    Statement {
        sensor: sensor.parse().unwrap(),
        reading: reading.parse().unwrap(),
        headline: format!("{reading} of {sensor}").into(),
        web: None,
        replaces: "".into(),
    }
}

fn decision(verdict: Verdict, evidence: &[(&str, &str)]) -> Decision {
    let evidence = evidence.iter().map(|(sensor, reading)| Evidence {
        reading: reading.parse().unwrap(),
        seq: 1,
        sensor: sensor.parse().unwrap(),
        rule: "severe-warning".parse().unwrap(),
        value: 3.0,
        distance_m: None,
        through: None,
    });
    Decision {
        seq: 1,
        at: Timestamp::default(),
        verdict,
        cause: Cause {
            evidence: evidence.collect(),
            ..Cause::default()
        },
    }
}

fn opened(name: &str, evidence: &[(&str, &str)]) -> Decision {
    decision(Verdict::IncidentOpened(incident(name)), evidence)
}

fn told(statements: &Statements, name: &str) -> Vec<String> {
    let told = statements.of(id(name));
    told.iter()
        .map(|(statement, withdrawn)| match withdrawn {
            true => format!("withdrawn: {}", statement.headline),
            false => statement.headline.to_string(),
        })
        .collect()
}

#[test]
fn a_statement_goes_with_its_reading() {
    let statements = Statements::default();
    let heard = [("met", "1"), ("met", "2"), ("dam", "1"), ("dam", "2")];
    statements.hear(heard.map(|(sensor, id)| statement(sensor, id)).into());
    let opened = [
        opened("a", &[("met", "1"), ("wl", "1"), ("met", "2")]),
        opened("b", &[("dam", "1")]),
    ];
    statements.follow(opened.iter());
    assert_eq!(told(&statements, "a"), ["2 of met", "1 of met"]);
    assert_eq!(told(&statements, "b"), ["1 of dam"]);
    let merged = Verdict::IncidentMerged {
        incident: IncidentState {
            handling: Handling::Merged,
            ..incident("b")
        },
        into: id("a"),
    };
    statements.follow([decision(merged, &[])].iter());
    assert_eq!(told(&statements, "a"), ["1 of dam", "2 of met", "1 of met"]);
    assert_eq!(told(&statements, "b"), [""; 0]);
    let split = Verdict::IncidentSplit {
        incident: incident("c"),
        from: id("a"),
        moved: Named {
            first: vec![
                ("met".parse().unwrap(), Some("2".parse().unwrap())),
                ("dam".parse().unwrap(), None),
            ],
            count: 2,
        },
    };
    statements.follow([decision(split, &[])].iter());
    assert_eq!(told(&statements, "a"), ["1 of met"]);
    assert_eq!(told(&statements, "c"), ["1 of dam", "2 of met"]);
}

#[test]
fn what_an_update_says_stands_in_the_place_of_what_was_said_before() {
    let statements = Statements::default();
    let update = |reading: &str, replaces: &str| Statement {
        replaces: replaces.into(),
        ..statement("met", reading)
    };
    statements.hear(vec![
        update("m,1/0/0", ""),
        update("m,10/0/0", ""),
        statement("dam", "m,1/0/0"),
        update("m,2/0/0", "m,0 m,1"),
    ]);
    let of = |sensor, reading| opened("a", &[(sensor, reading)]);
    let before = [
        of("met", "m,1/0/0"),
        of("met", "m,10/0/0"),
        of("dam", "m,1/0/0"),
    ];
    statements.follow(before.iter());
    // What takes its place is not evidence yet.
    let withdrawn = "withdrawn: m,1/0/0 of met".to_owned();
    assert!(told(&statements, "a").contains(&withdrawn));
    statements.follow([of("met", "m,2/0/0")].iter());
    let expected = ["m,2/0/0 of met", "m,1/0/0 of dam", "m,10/0/0 of met"];
    assert_eq!(told(&statements, "a"), expected);
}

/// What takes back, and says nothing else.
fn taken_back(sensor: &str, reading: &str, replaces: &str) -> Statement {
    Statement {
        headline: "".into(),
        replaces: replaces.into(),
        ..statement(sensor, reading)
    }
}

#[test]
fn what_is_cancelled_is_told_as_withdrawn_and_what_is_said_later_is_not() {
    let statements = Statements::default();
    statements.hear(vec![
        statement("met", "m,1/0/0"),
        statement("met", "m,2/0/0"),
        statement("dam", "m,1/0/0"),
    ]);
    let all = [("met", "m,1/0/0"), ("met", "m,2/0/0"), ("dam", "m,1/0/0")];
    statements.follow([opened("a", &all)].iter());
    statements.hear(vec![taken_back("met", "m,3/0/0", "m,1")]);
    let expected = [
        "m,1/0/0 of dam",
        "m,2/0/0 of met",
        "withdrawn: m,1/0/0 of met",
    ];
    assert_eq!(told(&statements, "a"), expected);
    statements.hear(vec![statement("met", "m,1/1/0")]);
    statements.follow([opened("b", &[("met", "m,1/1/0")])].iter());
    assert_eq!(told(&statements, "b"), ["m,1/1/0 of met"]);
}

#[test]
fn what_is_recalled_is_withdrawn_by_what_was_heard_and_takes_back_nothing_of_that() {
    let statements = Statements::default();
    statements.hear(vec![
        statement("met", "m,2"),
        taken_back("met", "m,3", "m,1"),
    ]);
    statements.recall(vec![
        statement("met", "m,1"),
        taken_back("met", "m,0", "m,2"),
    ]);
    statements.follow([opened("a", &[("met", "m,1"), ("met", "m,2")])].iter());
    let expected = ["m,2 of met", "withdrawn: m,1 of met"];
    assert_eq!(told(&statements, "a"), expected);
}

#[test]
fn p5_so_many_names_of_what_is_withdrawn_are_held_and_the_oldest_goes_first() {
    let statements = Statements::default();
    statements.hear(vec![statement("met", "0"), statement("met", "1")]);
    statements.follow([opened("a", &[("met", "0"), ("met", "1")])].iter());
    let all = (0..=WITHDRAWN_MAX).map(|number| taken_back("met", "x", &number.to_string()));
    statements.hear(all.collect());
    assert_eq!(told(&statements, "a"), ["withdrawn: 1 of met", "0 of met"]);
    let table = statements.0.read().unwrap();
    let Withdrawn {
        names,
        oldest_first,
    } = &table.withdrawn;
    assert_eq!(
        (names.len(), oldest_first.len()),
        (WITHDRAWN_MAX, WITHDRAWN_MAX)
    );
}

#[test]
fn p5_what_waits_to_be_evidence_has_a_bound_and_the_oldest_goes_first() {
    let statements = Statements::default();
    let all = (0..=WAITING_MAX).map(|number| statement("met", &number.to_string()));
    statements.hear(all.collect());
    let last = WAITING_MAX.to_string();
    let evidence = [("met", "0"), ("met", "1"), ("met", &last)];
    statements.follow([opened("a", &evidence)].iter());
    let expected = [format!("{last} of met"), "1 of met".to_owned()];
    assert_eq!(told(&statements, "a"), expected);
    // What is no more evidence to come makes room too.
    let table = statements.0.read().unwrap();
    assert_eq!(table.oldest_first.len(), WAITING_MAX);
}

#[test]
fn p5_of_one_incident_the_newest_statements_are_held() {
    let statements = Statements::default();
    let names: Vec<_> = (0..=OF_INCIDENT_MAX).map(|n| n.to_string()).collect();
    statements.hear(names.iter().map(|id| statement("met", id)).collect());
    let evidence: Vec<_> = names.iter().map(|id| ("met", id.as_str())).collect();
    statements.follow([opened("a", &evidence)].iter());
    let told = told(&statements, "a");
    assert_eq!(told.len(), OF_INCIDENT_MAX);
    assert_eq!(told[0], format!("{OF_INCIDENT_MAX} of met"));
    assert_eq!(told[OF_INCIDENT_MAX - 1], "1 of met");
}

#[test]
fn p5_of_so_many_incidents_statements_are_held_and_that_which_rests_longest_goes_first() {
    let statements = Statements::default();
    for number in 0..=INCIDENTS_MAX {
        let name = number.to_string();
        statements.hear(vec![statement("met", &name), statement("dam", &name)]);
        statements.follow([opened(&name, &[("met", &name)])].iter());
        // The first one goes on.
        statements.follow([opened("0", &[("dam", &name)])].iter());
    }
    assert_eq!(statements.of(id("0")).len(), OF_INCIDENT_MAX);
    assert_eq!(statements.of(id("1")).len(), 0);
    assert_eq!(statements.of(id("2")).len(), 1);
    assert_eq!(statements.of(id(&INCIDENTS_MAX.to_string())).len(), 1);
}

#[test]
fn an_address_is_of_the_web_and_of_the_host_that_it_shows() {
    for web in [
        "https://met.example/warnings/7?lang=ms#area",
        "http://met.example",
        "HTTPS://met.example:8443/@7",
    ] {
        assert!(is_web(web), "{web}");
    }
    for other in [
        "",
        "met.example/7",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://",
        "https:///7",
        "https://met.example@evil.example/7",
        "https://met.example/a b",
        "https://met.example/\u{202e}7",
        "https://met.example/\"onclick=",
        "https://met.example/\n",
    ] {
        assert!(!is_web(other), "{other}");
    }
    let long = format!("https://met.example/{}", "7".repeat(1004));
    assert!(is_web(&long));
    assert!(!is_web(&format!("{long}7")));
}

#[test]
fn p5_a_headline_is_cut_between_characters() {
    let said = |attributes: &[(&str, &str)]| {
        let mut buffer = AttributesBuffer::default();
        for (name, value) in attributes {
            buffer.push(name, value).unwrap();
        }
        Statement::of(&Reading {
            id: "1",
            sensor: "met",
            kind: "external_alert",
            observed_at: Timestamp::default(),
            received_at: None,
            value: 3.0,
            unit: "",
            position: None,
            attributes: buffer.as_attributes(),
        })
    };
    let of = |headline: &str, web: &str| said(&[("headline", headline), ("web", web)]);
    let cut = of(&"\u{fc}".repeat(300), "").unwrap();
    assert_eq!(&*cut.headline, "\u{fc}".repeat(256));
    let link = of("", "https://met.example").unwrap();
    assert_eq!(
        (&*link.headline, link.web.as_deref()),
        ("", Some("https://met.example"))
    );
    assert_eq!(of("", "mailto:a@met.example"), None);
    let replacing = |names: &str| {
        let statement = said(&[("headline", "x"), ("replaces", names)]);
        statement.unwrap().replaces.len()
    };
    assert_eq!(replacing(&"n".repeat(1024)), 1024);
    assert_eq!(replacing(&"n".repeat(1025)), 0);
}
