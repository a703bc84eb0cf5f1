use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::mapping::Format;
use super::super::tests::{found, registered};
use super::super::{Message, Workspace};
use super::*;

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
            "observed_at_invalid: expires: ",
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
        .replace("Public", &"s".repeat(5000));
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
