use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::append_message;
use super::super::mapping::Format;
use super::super::tests::{found, registered};
use super::super::{Message, NOTED_TOLD_MAX, Workspace};
use super::*;
use crate::door::Inputs;

fn catalogue() -> Catalogue {
    let names = Names {
        kinds: [
            ("Exercise".into(), "exercise".into()),
            ("Dam Break".into(), "dam_alert".into()),
        ]
        .into(),
        ..Names::default()
    };
    registered("alerts/#", Format::Cap, names)
}

fn tried(xml: &str) -> String {
    let message = Message {
        topic: "alerts/met",
        payload: xml.as_bytes(),
        ..Message::default()
    };
    found(message, &catalogue(), &mut Workspace::default()).join("\n")
}

fn check(xml: &str, expected: &Expect) {
    expected.assert_eq(&tried(xml));
}

/// An alert with these elements where its `info` blocks stand.
fn alert(infos: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>MET-2026-0314-7</identifier>
  <sender>warnings@met.example</sender>
  <sent>2026-03-14T14:40:00+08:00</sent>
  <status>Actual</status>
  <msgType>Alert</msgType>
  <scope>Public</scope>
  {infos}
</alert>"#
    )
}

/// An `info` block with these areas.
fn info(areas: &str) -> String {
    format!(
        "<info><language>en</language><category>Met</category><event>Flood Warning</event>
        <responseType>Prepare</responseType><urgency>Expected</urgency>
        <severity>Severe</severity><certainty>Likely</certainty>
        <expires>2026-03-14T20:00:00+08:00</expires><headline>Rivers rise &amp; flood</headline>
        <description>Long.</description>{areas}</info>"
    )
}

const AREA: &str = "<area><areaDesc>Upper basin</areaDesc>
    <polygon>3.1,101.6 3.1,101.8 3.3,101.8 3.3,101.6 3.1,101.6</polygon>
    <geocode><valueName>DISTRICT</valueName><value>14</value></geocode></area>";

#[test]
fn an_alert_is_a_report_in_the_middle_of_its_area() {
    check(
        &alert(&info(AREA)),
        &expect![[
            "info[0]> warnings@met.example,MET-2026-0314-7/0/0 warnings@met.example external_alert 3 2026-03-14T06:40:00.000Z [101.7, 3.2] event=Flood Warning category=met severity=severe urgency=expected certainty=likely response_type=prepare status=actual msg_type=alert scope=public sender=warnings@met.example identifier=MET-2026-0314-7 expires=2026-03-14T20:00:00+08:00 language=en headline=Rivers rise & flood area=Upper basin geocode=DISTRICT=14 radius_m=15713"
        ]],
    );
}

/// The lines without what rules ask for.
fn brief(xml: &str) -> String {
    let told = tried(xml);
    let lines = told
        .lines()
        .map(|line| line.split(" event=").next().unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn each_area_is_a_report_and_each_language_is_not() {
    let two = format!("{AREA}<area><areaDesc>Port</areaDesc><circle>3.0,101.4 5</circle></area>");
    let english = info(&two);
    let malay = english
        .replace("<language>en<", "<language>ms<")
        .replace("Flood Warning", "Amaran Banjir")
        .replace("Upper basin", "Lembangan hulu");
    let graver = english.replace("Severe", "Extreme");
    expect![[r#"
        info[0]/area[0]> warnings@met.example,MET-2026-0314-7/0/0 warnings@met.example external_alert 3 2026-03-14T06:40:00.000Z [101.7, 3.2]
        info[0]/area[1]> warnings@met.example,MET-2026-0314-7/0/1 warnings@met.example external_alert 3 2026-03-14T06:40:00.000Z [101.4, 3.0]
        info[1]> noted: the same in another language
        info[2]/area[0]> warnings@met.example,MET-2026-0314-7/2/0 warnings@met.example external_alert 4 2026-03-14T06:40:00.000Z [101.7, 3.2]
        info[2]/area[1]> warnings@met.example,MET-2026-0314-7/2/1 warnings@met.example external_alert 4 2026-03-14T06:40:00.000Z [101.4, 3.0]"#]]
    .assert_eq(&brief(&alert(&format!("{english}{malay}{graver}"))));
}

#[test]
fn a_block_that_cannot_be_read_takes_nothing_from_the_others_and_is_a_dead_letter_once() {
    let good = info(AREA);
    let late = good
        .replace("2026-03-14T20:00:00+08:00", "soon")
        .replace("Flood", "Rain");
    let grave = good.replace("Severe", "Grave").replace("Flood", "Storm");
    let told = brief(&alert(&format!("{late}{good}{grave}")));
    let kinds: Vec<_> = told
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    let readable = "info[1]> warnings@met.example,MET-2026-0314-7/1/0 warnings@met.example \
                    external_alert 3 2026-03-14T06";
    assert_eq!(
        kinds,
        ["info[0]> observed_at_invalid", readable, "info[2]> noted"]
    );
    let circles = "<area><areaDesc>x</areaDesc><circle>3.1</circle></area>".repeat(1_000);
    let told = tried(&alert(&info(&circles)));
    assert_eq!(told.lines().count(), 1_000);
    assert_eq!(told.matches("position_invalid").count(), 1);
}

#[test]
fn latitude_comes_first_and_circles_are_in_kilometres() {
    let radius = |shape: &str| {
        let told = tried(&alert(&info(&format!(
            "<area><areaDesc>x</areaDesc>{shape}</area>"
        ))));
        let place = told.split(" event=").next().unwrap_or_default().to_owned();
        let radius = told
            .rsplit_once("radius_m=")
            .map(|(_, radius)| radius.to_owned());
        (
            place.rsplit_once("Z ").map(|(_, place)| place.to_owned()),
            radius,
        )
    };
    let said = |place: &str, radius: &str| (Some(place.to_owned()), Some(radius.to_owned()));
    assert_eq!(
        radius("<circle>-33.9,151.2 2.5</circle>"),
        said("[151.2, -33.9]", "2500")
    );
    assert_eq!(
        radius("<circle>-33.9,151.2 0</circle>"),
        said("[151.2, -33.9]", "0")
    );
    assert_eq!(
        radius("<geocode><valueName>a</valueName><value>b</value></geocode>"),
        (None, None)
    );
    for wrong in [
        "<polygon>3.1,101.6 3.1,101.8 3.1,101.6</polygon>",
        "<polygon>101.6,3.1 101.8,3.1 101.8,3.3 101.6,3.1</polygon>",
        "<polygon>3.1 101.6</polygon>",
        "<circle>3.1,101.6</circle>",
        "<circle>3.1,101.6 -1</circle>",
        "<circle>3.1,101.6 99999</circle>",
    ] {
        let told = tried(&alert(&info(&format!(
            "<area><areaDesc>x</areaDesc>{wrong}</area>"
        ))));
        assert!(
            told.contains("> position_invalid: area: "),
            "{wrong}: {told}"
        );
    }
}

#[test]
fn an_empty_shape_is_none_and_a_blank_beside_a_comma_parts_nothing() {
    let plain = tried(&alert(&info(AREA)));
    let empty = AREA.replace(
        "<polygon>",
        "<polygon></polygon><circle> </circle><polygon>",
    );
    assert_eq!(tried(&alert(&info(&empty))), plain);
    let blanks = AREA
        .replace("3.1,101.6", "3.1, 101.6")
        .replace("3.3,101.8", "3.3 ,\n101.8");
    assert!(blanks != AREA);
    assert_eq!(tried(&alert(&info(&blanks))), plain);
    let of = |shape: &str| {
        tried(&alert(&info(&format!(
            "<area><areaDesc>x</areaDesc>{shape}</area>"
        ))))
    };
    assert_eq!(
        of("<circle>3.0, 101.4 5</circle>"),
        of("<circle>3.0,101.4 5</circle>")
    );
    // Nothing but empty ones is no place, and is not wrong.
    assert_eq!(of("<polygon/>"), of(""));
    // Pairs with commas between them are still none: which number is which nobody can tell.
    for wrong in [
        "3.1, 101.6, 3.1, 101.8, 3.3, 101.8, 3.1, 101.6",
        ", 3.1 101.6",
    ] {
        let told = of(&format!("<polygon>{wrong}</polygon>"));
        assert!(told.contains("position_invalid"), "{told}");
    }
}

#[test]
fn only_what_is_actual_and_holds_is_evidence() {
    let whole = alert(&info(AREA));
    for (from, to, expected) in [
        ("<status>Actual<", "<status>Test<", "> noted: a test"),
        ("<status>Actual<", "<status>Draft<", "> noted: a draft"),
        (
            "<status>Actual<",
            "<status>System<",
            "> noted: of the network that it comes by",
        ),
        (
            "<msgType>Alert<",
            "<msgType>Ack<",
            "> noted: an acknowledgement",
        ),
        (
            "<msgType>Alert<",
            "<msgType>Error<",
            "> noted: it refuses another message",
        ),
        ("T20:00:00", "T14:45:00", "info[0]> noted: it has expired"),
        (
            "<status>Actual<",
            "<status>actual<",
            "shape_unexpected: status: \"actual\" is not Actual",
        ),
        (
            "<msgType>Alert<",
            "<msgType>Warn<",
            "shape_unexpected: msgType: \"Warn\" is not Alert",
        ),
    ] {
        let told = tried(&whole.replace(from, to));
        assert!(told.starts_with(expected), "{to}: {told}");
    }
    let said = |from: &str, to: &str| brief(&whole.replace(from, to));
    let exercise = said("<status>Actual<", "<status>Exercise<");
    assert!(exercise.contains(" exercise 3 "), "{exercise}");
    let cancel = said("<msgType>Alert<", "<msgType>Cancel<");
    assert!(cancel.contains(" external_alert 0 "), "{cancel}");
    let own = said("Flood Warning", "Dam Break");
    assert!(own.contains(" dam_alert 3 "), "{own}");
}

#[test]
fn what_is_no_alert_is_told() {
    let whole = alert(&info(AREA));
    for (from, to, expected) in [
        (
            "cap:1.2",
            "cap:0.9",
            "shape_unexpected: \"alert\" is no alert of CAP 1.2",
        ),
        (
            "<sender>warnings@met.example</sender>",
            "",
            "shape_unexpected: an alert has an element sender",
        ),
        (
            "<event>Flood Warning</event>",
            "",
            "shape_unexpected: an alert has an element event",
        ),
        (
            "<severity>Severe<",
            "<severity>Bad<",
            "info[0]> shape_unexpected: severity: \"Bad\"",
        ),
        ("<sent>2026", "<sent>noon", "observed_at_invalid: sent: "),
        (
            "<expires>2026",
            "<expires>noon",
            "info[0]> observed_at_invalid: expires: ",
        ),
        (
            "<scope>",
            "<sender>b</sender><scope>",
            "member_repeated: \"sender\" is there twice",
        ),
        (
            "warnings@met.example</sender>",
            "a b</sender>",
            "info[0]> sensor_invalid: ",
        ),
        ("</alert>", "", "xml_malformed: "),
        ("</alert>", "</alert><alert/>", "xml_malformed: "),
        (
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            "<!DOCTYPE alert [<!ENTITY a 'a'>]>",
            "xml_malformed: a document type",
        ),
        (
            "Flood Warning",
            "&a;",
            "xml_malformed: the entity \"a\" is not defined",
        ),
    ] {
        let told = tried(&whole.replacen(from, to, 1));
        assert!(told.starts_with(expected), "{to}: {told}");
    }
    assert!(tried("<a/>").starts_with("shape_unexpected: "));
    assert!(tried("").starts_with("xml_malformed: "));
    assert_eq!(tried(&alert("")), "> noted: it has no info block");
}

#[test]
fn elements_of_other_vocabularies_are_passed_over() {
    let prefixed = alert(&info(AREA))
        .replace("xmlns=", "xmlns:cap=")
        .replace('<', "<cap:")
        .replace("<cap:/", "</cap:")
        .replace("<cap:?", "<?")
        .replace(
            "</cap:alert>",
            "<ds:Signature xmlns:ds='x'><ds:info><event>x</event></ds:info></ds:Signature><event>y</event></cap:alert>",
        );
    assert_eq!(brief(&prefixed), brief(&alert(&info(AREA))));
}

#[test]
fn an_id_that_would_be_too_long_is_a_hash() {
    let long = alert(&info(AREA)).replace("MET-2026-0314-7", &"7".repeat(300));
    let told = brief(&long);
    assert!(told.starts_with("info[0]> cap-"), "{told}");
    assert_eq!(brief(&long), told);
}

#[test]
fn p5_attributes_have_room_however_long_their_texts_are() {
    let long = alert(&info(AREA))
        .replace("Flood Warning", &"e".repeat(5000))
        .replace("Rivers rise", &"\u{fc}".repeat(5000))
        .replace("Upper basin", &"a".repeat(5000))
        .replace("<value>14<", &format!("<value>{}<", "1".repeat(5000)))
        .replace(
            "<scope>",
            &format!("<references>{}</references><scope>", "r".repeat(5000)),
        )
        .replace("<language>en<", &format!("<language>{}<", "l".repeat(5000)))
        .replace("Met<", &format!("{}<", "m".repeat(5000)))
        .replace("Likely", &"c".repeat(5000))
        .replace("Expected", &"u".repeat(5000))
        .replace("Prepare", &"p".repeat(5000))
        .replace("Public", &"s".repeat(5000))
        .replace(
            "<headline>",
            &format!("<web>{}</web><headline>", "w".repeat(5000)),
        );
    let chain = (0..500).map(|n| {
        format!(
            "warnings@met.example,{n}{},2026-03-14T12:00:00Z",
            "i".repeat(90)
        )
    });
    let chain = chain.collect::<Vec<_>>().join(" ");
    let long = long.replace("<msgType>Alert<", "<msgType>Update<").replace(
        &format!("<references>{}", "r".repeat(5000)),
        &format!("<references>{chain}"),
    );
    assert!(
        tried(&long).contains(" external_alert 3 "),
        "{}",
        tried(&long)
    );
}

#[test]
fn p5_an_alert_has_no_more_blocks_and_areas_than_their_bounds() {
    let one = info(AREA);
    assert_eq!(tried(&alert(&one.repeat(64))).lines().count(), 64);
    let told = tried(&alert(&one.repeat(65)));
    assert!(
        told.starts_with("items_too_many: an alert has at most 64 info"),
        "{told}"
    );
    let area = "<area><areaDesc>x</areaDesc></area>";
    assert_eq!(
        tried(&alert(&info(&area.repeat(1024)))).lines().count(),
        1024
    );
    let told = tried(&alert(&info(&area.repeat(1025))));
    assert!(
        told.starts_with("items_too_many: an alert has at most 1024 areas"),
        "{told}"
    );
}

/// The alert as an update or a cancellation of others.
fn referring(xml: &str, msg_type: &str, references: &str) -> String {
    let said = format!("<msgType>{msg_type}<");
    let xml = xml.replace("<msgType>Alert<", &said);
    xml.replace(
        "<scope>",
        &format!("<references>{references}</references><scope>"),
    )
}

const FIRST: &str = "warnings@met.example,MET-1,2026-03-14T12:00:00+08:00";
const SECOND: &str = "warnings@met.example,MET-2,2026-03-14T13:00:00+08:00";

/// The attribute by which the report on each line says what it takes the place of.
fn replaced(told: &str) -> Vec<Option<&str>> {
    let of_line = |line: &str| {
        let (_, from) = line.split_once(" replaces=")?;
        let end = [" event=", " status="].map(|next| from.find(next));
        end.into_iter().flatten().min().map(|end| from.len() - end)
    };
    let lines = told.lines().map(|line| {
        let left = of_line(line)?;
        let (_, from) = line.split_once(" replaces=")?;
        Some(&from[..from.len() - left])
    });
    lines.collect()
}

#[test]
fn an_update_takes_the_place_of_what_it_refers_to_and_the_newest_come_first() {
    let whole = alert(&info(&AREA.repeat(2)));
    let update = referring(&whole, "Update", &format!("{FIRST}   {SECOND}"));
    let names = Some("warnings@met.example,MET-2 warnings@met.example,MET-1");
    let told = tried(&update);
    assert_eq!(replaced(&told), [names, names], "{told}");
    assert!(told.contains(" external_alert 3 "), "{told}");
    // An alert replaces nothing, whatever it refers to.
    let told = tried(&referring(&whole, "Alert", FIRST));
    assert_eq!(replaced(&told), [None, None], "{told}");
}

#[test]
fn nobody_takes_back_what_another_has_sent_and_no_alert_takes_back_itself() {
    let others = "dam@example,MET-1,2026-03-14T12:00:00+08:00";
    let itself = "warnings@met.example,MET-2026-0314-7,2026-03-14T14:40:00+08:00";
    let said = format!("{others} {itself} x warnings@met.example,MET-3,noon");
    let told = tried(&referring(&alert(&info(AREA)), "Update", &said));
    assert_eq!(replaced(&told), [Some("warnings@met.example,MET-3")]);
}

#[test]
fn a_cancel_takes_back_also_where_it_says_nothing_else_or_has_expired() {
    let late = alert(&info(AREA)).replace("T20:00:00", "T14:45:00");
    let told = tried(&referring(&late, "Cancel", FIRST));
    assert!(told.contains(" external_alert 0 "), "{told}");
    assert_eq!(replaced(&told), [Some("warnings@met.example,MET-1")]);
    let told = tried(&referring(&alert(""), "Cancel", FIRST));
    expect![[r#"
        > noted: it has no info block
        > warnings@met.example,MET-2026-0314-7/0/0 warnings@met.example external_alert 0 2026-03-14T06:40:00.000Z replaces=warnings@met.example,MET-1 status=actual msg_type=cancel scope=public sender=warnings@met.example identifier=MET-2026-0314-7 references=warnings@met.example,MET-1,2026-03-14T12:00:00+08:00"#]]
    .assert_eq(&told);
    let told = tried(&referring(&late, "Update", FIRST));
    assert!(
        told.starts_with("info[0]> noted: it has expired\n"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 2, "{told}");
    let exercise = referring(&alert(""), "Cancel", FIRST).replace("Actual", "Exercise");
    let told = tried(&exercise);
    assert!(told.contains(" exercise 0 "), "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");
    // What is meant is not taken back by what is not.
    let names = Some("Exercise:warnings@met.example,MET-1");
    assert_eq!(replaced(&told)[1], names);
}

#[test]
fn what_gives_the_all_clear_or_is_past_is_no_danger_and_takes_back_what_was() {
    let rank = |xml: &str| {
        let told = tried(xml);
        let after = told.split(" external_alert ").nth(1).unwrap_or_default();
        let rank = after.split(' ').next().unwrap_or_default().to_owned();
        let replaces = replaced(&told)[0].unwrap_or_default().to_owned();
        (rank, replaces)
    };
    let with = |response: &str, urgency: &str| {
        let whole = alert(&info(AREA));
        let from = "<responseType>Prepare</responseType><urgency>Expected</urgency>";
        assert!(whole.contains(from));
        whole.replace(from, &format!("{response}<urgency>{urgency}</urgency>"))
    };
    let clear = "<responseType>AllClear</responseType>";
    let first = "warnings@met.example,MET-1";
    for (response, urgency, msg_type, expected) in [
        (clear, "Past", "Alert", ("0", "")),
        (clear, "Unknown", "Alert", ("0", "")),
        (clear, "Past", "Update", ("0", first)),
        (
            "<responseType>None</responseType>",
            "Past",
            "Update",
            ("0", first),
        ),
        // A quake whose magnitude is revised is as past as it was, and no less a quake.
        ("", "Past", "Update", ("3", first)),
        (
            "<responseType>None</responseType><responseType>Evacuate</responseType>",
            "Past",
            "Update",
            ("3", first),
        ),
        // An agency that reports what has just happened says so from the first.
        ("", "Past", "Alert", ("3", "")),
        ("", "Immediate", "Update", ("3", first)),
    ] {
        let told = rank(&referring(&with(response, urgency), msg_type, FIRST));
        assert_eq!(
            (&*told.0, &*told.1),
            expected,
            "{response} {urgency} {msg_type}"
        );
    }
    // Also where it is the second of them, but not beside what one does in danger.
    let several = |others: &str| rank(&with(&format!("{others}{clear}"), "Expected")).0;
    assert_eq!(several("<responseType>Monitor</responseType>"), "0");
    assert_eq!(several("<responseType>Evacuate</responseType>"), "3");
}

#[test]
fn an_alert_that_is_called_by_its_hash_is_taken_back_by_it() {
    let long = |identifier: &str| alert(&info(AREA)).replace("MET-2026-0314-7", identifier);
    for identifier in ["7".repeat(300), "a/b".to_owned()] {
        let before = brief(&long(&identifier));
        let (_, name) = before.split_once("info[0]> ").unwrap();
        let (name, _) = name.split_once('/').unwrap();
        assert!(name.starts_with("cap-"), "{before}");
        let said = format!("warnings@met.example,{identifier},2026-03-14T12:00:00Z");
        let told = tried(&referring(&alert(&info(AREA)), "Update", &said));
        assert_eq!(replaced(&told), [Some(name)]);
    }
}

#[test]
fn p5_a_long_chain_of_updates_names_the_newest() {
    let hours = (0..20).flat_map(|day| (0..24).map(move |hour| (day, hour)));
    let chain = hours.map(|(day, hour)| {
        let day = day + 1;
        format!("warnings@met.example,MET-{day}-{hour},2026-02-{day:02}T{hour:02}:00:00Z")
    });
    let chain: Vec<_> = chain.collect();
    let told = tried(&referring(&alert(&info(AREA)), "Update", &chain.join(" ")));
    let [Some(names)] = replaced(&told)[..] else {
        panic!("{told}");
    };
    assert!((900..=1024).contains(&names.len()), "{names}");
    assert!(names.starts_with("warnings@met.example,MET-20-23 warnings@met.example,MET-20-22 "));
}

#[test]
fn an_update_of_which_a_block_cannot_be_read_takes_nothing_back() {
    let good = info(AREA);
    let broken = good.replace("<severity>Severe<", "<severity>Bad<");
    for infos in [broken.clone(), format!("{good}{broken}")] {
        let told = tried(&referring(&alert(&infos), "Update", FIRST));
        assert!(!told.contains(" replaces="), "{told}");
        assert_eq!(told.matches("shape_unexpected").count(), 1, "{told}");
    }
}

#[test]
fn a_link_is_whole_or_left_out() {
    let with = |link: &str| {
        let web = format!("<web>{link}</web><headline>");
        tried(&alert(&info(AREA)).replace("<headline>", &web))
    };
    let longest = format!("https://met.example/{}", "w".repeat(WEB_BYTES_MAX - 20));
    assert!(with(&longest).ends_with(&format!(" web={longest}")));
    assert!(!with(&format!("{longest}w")).contains(" web="));
}

proptest! {
    #[test]
    fn any_damage_to_an_alert_is_reports_or_reasons(
        at in 0_usize..2000, with in prop::sample::select(vec!["<", ">", "&", "</info>", "\"", "x", "",
            "<polygon>", "<!--", "<![CDATA[", "\u{e9}", "<area><circle>1,2 3</circle></area>"]),
        cut in 0_usize..40,
    ) {
        let whole = alert(&format!("{}{}", info(AREA), info("")));
        let from = whole.floor_char_boundary(at.min(whole.len()));
        let to = whole.floor_char_boundary((from + cut).min(whole.len()));
        tried(&format!("{}{with}{}", &whole[..from], &whole[to..]));
    }
}

#[test]
fn p5_so_much_that_is_no_reading_is_told_one_by_one() {
    let late = info(AREA).replace("T20:00:00", "T14:45:00");
    let xml = alert(&late.repeat(64));
    let message = Message {
        topic: "alerts/met",
        payload: xml.as_bytes(),
        ..Message::default()
    };
    let (mut inputs, mut workspace) = (Inputs::default(), Workspace::default());
    append_message(
        &mut inputs,
        message,
        "test",
        &catalogue(),
        &mut workspace,
        &mut |told| panic!("{told:?}"),
    );
    assert!(inputs.is_empty());
    assert_eq!(workspace.noted.len(), NOTED_TOLD_MAX);
    assert_eq!(workspace.noted[1], ("info[1]".to_owned(), "it has expired"));
}
