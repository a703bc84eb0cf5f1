//! What people have said about incidents, told for those who mend the rules.

use serde_json::{Value, json};

use crate::stream::Stream;
use crate::support::{Site, ioc, json_lines, level, river_city, wait_for};

const RULES: &str = "\
detections:
  river-high: { kind: water_level, above: { moderate: 3 m }, clear: below 2.9 m }
correlations:
  flood: { incident: flood, from: [river-high], sources: 1, within: 10 m, within_time: 1 h }
";

#[tokio::test]
async fn what_people_merged_split_confirmed_and_dismissed_is_told_reading_by_reading() {
    let mut site = Site::new(&river_city());
    let rules = site.dir.path().join("config/rules");
    std::fs::create_dir_all(&rules).unwrap();
    std::fs::write(rules.join("flood.yaml"), RULES).unwrap();
    let config = rules.parent().unwrap().to_str().unwrap().to_owned();
    site.args.extend(["--config".to_owned(), config]);
    let server = site.start();
    let at = "2026-03-14T06:40:00Z";
    let high = [level("a", "wl-1", at, 3.4), level("b", "wl-2", at, 3.5)];
    server.post_readings(&high);
    let two = wait_for("an incident of each gauge", || {
        let open = server.incidents();
        (open.len() == 2).then_some(open)
    });
    let data = site.data();
    let labels = || json_lines(&ioc(&["labels", data.to_str().unwrap()]).stdout);
    assert_eq!(labels(), Vec::<Value>::new(), "nobody has said anything");

    let mut stream = Stream::open(server.http, Some(&site.token()), None).await;
    let mut ordered = 0;
    let mut order = async |mut order: Value| {
        ordered += 1;
        order["type"] = "command".into();
        order["request_id"] = format!("r-{ordered}").into();
        stream.send(&order).await;
        stream.next_of("ok").await
    };
    let ids: Vec<_> = two.iter().map(|each| each["id"].clone()).collect();
    order(json!({ "action": "merge", "incident": ids[0], "with": ids[1] })).await;
    let merged = wait_for("one happening", || {
        let told = labels();
        (told.len() == 2 && told[0]["incident"] == told[1]["incident"]).then_some(told)
    });
    for (label, reading) in merged.iter().zip(["a", "b"]) {
        assert_eq!(label["reading"], reading);
        assert_eq!(label["kind"], "flood");
        assert_eq!(label["by"], json!(["console"]));
        assert_eq!(label["verdict"], Value::Null);
    }

    let whole = merged[0]["incident"].clone();
    order(json!({ "action": "split", "incident": whole, "sources": ["wl-2"] })).await;
    order(json!({ "action": "confirm", "incident": whole })).await;
    let part = wait_for("two happenings", || {
        let told = labels();
        let of = |reading: &str| {
            told.iter()
                .find(|label| label["reading"] == reading)
                .cloned()
        };
        let (one, other) = (of("a")?, of("b")?);
        (one["verdict"] == "real" && one["incident"] == whole).then_some(other["incident"].clone())
    });
    assert_ne!(part, whole);
    order(json!({ "action": "dismiss", "incident": part, "reason": "false_alarm" })).await;
    wait_for("a false alarm", || {
        let told = labels();
        let is_it = |label: &&Value| label["incident"] == part;
        let label = told.iter().find(is_it)?;
        (label["verdict"] == "false_alarm" && label["sensor"] == "wl-2").then_some(())
    });
}
