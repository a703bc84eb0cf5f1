//! An operator's desk in a real browser: why, what belongs together, causes and their symptoms, and
//! what is kept quiet; with the real server behind it.

use serde_json::{Value, json};

use crate::browser::Page;
use crate::stream::Stream;
use crate::support::{Server, Site, level, wait_for};

/// Two kinds of gauge far from each other, and a feeder whose pump stands when it is dead.
const RULES: &str = "\
detections:
  river-high: { kind: water_level, above: { moderate: 3 m, severe: 4 m }, clear: below 2.9 m, for: 2 readings }
  feeder-dead: { kind: feeder, below: { severe: 2 kV }, clear: above 10 kV, for: 1 reading }
  pump-stopped: { kind: pump, below: { moderate: 0.5 state }, clear: above 0.5 state, for: 1 reading }
correlations:
  flood: { incident: flood, from: { river-high: 3 }, opens_at: 3, within: 2 km, within_time: 1 h, clear_after: 10 min }
  outage:
    incident: outage
    from: { feeder-dead: 3 }
    opens_at: 3
    within: 2 km
    within_time: 1 h
    clear_after: 10 min
    explains: { pump_failure: { within: 2 km, after: 10 min, before: 2 min } }
  pump-failure: { incident: pump_failure, from: { pump-stopped: 3 }, opens_at: 3, within: 2 km, within_time: 1 h, clear_after: 10 min }
";

fn city() -> String {
    let sensor = |id: &str, kind: &str, lon: f64| {
        json!({
            "type": "Feature", "id": id,
            "properties": { "type": "sensor", "kind": kind, "zone": "z1" },
            "geometry": { "type": "Point", "coordinates": [lon, 3.15] },
        })
    };
    let square = [
        [101.5, 3.1],
        [101.9, 3.1],
        [101.9, 3.2],
        [101.5, 3.2],
        [101.5, 3.1],
    ];
    json!({
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature", "id": "z1",
                "properties": { "type": "zone", "name": "Old Town" },
                "geometry": { "type": "Polygon", "coordinates": [square] },
            },
            sensor("wl-1", "water_level", 101.65),
            sensor("wl-8", "water_level", 101.75),
            sensor("fd-1", "feeder", 101.55),
            sensor("pm-1", "pump", 101.551),
        ],
    })
    .to_string()
}

fn site() -> Site {
    let mut site = Site::new(&city());
    let rules = site.dir.path().join("config/rules");
    std::fs::create_dir_all(&rules).unwrap();
    std::fs::write(rules.join("rules.yaml"), RULES).unwrap();
    let config = rules.parent().unwrap().to_str().unwrap().to_owned();
    site.args.extend(["--config".to_owned(), config]);
    site
}

fn at(minute: u32) -> String {
    format!("2026-03-14T06:{minute:02}:00Z")
}

/// A reading of something that is well at 1 and not at 0.
fn state(id: &str, sensor: &str, kind: &str, minute: u32, value: f64) -> String {
    json!({ "id": id, "sensor": sensor, "kind": kind, "observed_at": at(minute), "value": value })
        .to_string()
}

/// Two floods far from each other, that of wl-8 the later one.
fn floods(server: &Server) {
    let posted = server.post_readings(&[
        level("a", "wl-1", &at(30), 3.4),
        level("b", "wl-8", &at(30), 3.4),
        level("c", "wl-1", &at(31), 3.5),
        level("d", "wl-8", &at(32), 3.5),
    ]);
    assert_eq!(posted.status, 200);
}

fn of_kind(server: &Server, kind: &str) -> Vec<Value> {
    let mut incidents = server.incidents();
    incidents.retain(|incident| incident["kind"] == kind);
    incidents
}

/// A console that may give orders.
async fn console(server: &Server, site: &Site) -> Page {
    let url = format!("http://{}/#token={}", server.http, site.token());
    let mut page = Page::open(&url).await;
    page.until("document.querySelector('[data-testid=connection]')?.dataset.state === 'live'")
        .await;
    page
}

/// Presses a key, as who has nothing else in focus.
async fn key(page: &mut Page, key: &str) -> Value {
    page.evaluate(&format!(
        "document.activeElement?.blur(); document.body.dispatchEvent(new KeyboardEvent('keydown', \
         {{ key: '{key}', bubbles: true }}))"
    ))
    .await
}

/// Writes into a field of the dialog.
async fn write(page: &mut Page, name: &str, text: &str) {
    let field = format!("document.querySelector('dialog [name={name}]')");
    page.until(&format!("{field} !== null")).await;
    page.evaluate(&format!(
        "{field}.value = '{text}'; {field}.dispatchEvent(new Event('input', {{ bubbles: true }}))"
    ))
    .await;
}

async fn click(page: &mut Page, selector: &str) {
    let node = format!("document.querySelector('{selector}')");
    page.until(&format!("{node} !== null && !{node}.disabled"))
        .await;
    page.evaluate(&format!("{node}.click()")).await;
}

const GO: &str = "[data-testid=dialog-go]";

/// Chooses the first incident of a kind in the list.
async fn choose(page: &mut Page, kind: &str) {
    click(page, &format!("#incidents [data-kind={kind}]")).await;
    page.until("document.querySelector('[data-testid=timeline]')?.childElementCount > 0")
        .await;
}

/// Waits until an element says this.
async fn says(page: &mut Page, selector: &str, text: &str) {
    page.until(&format!(
        "document.querySelector('{selector}')?.textContent.includes('{text}') ?? false"
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_asks_why_and_why_not_more() {
    let site = site();
    let server = site.start();
    floods(&server);
    let mut page = console(&server, &site).await;
    choose(&mut page, "flood").await;
    let asked = "performance.getEntriesByType('resource').filter(({ name }) => \
                 name.includes('/why/')).length";
    assert_eq!(page.evaluate(asked).await, 0, "nothing is asked unasked");
    key(&mut page, "w").await;
    let reasons = "[data-testid=reasons]";
    for said in [
        "by flood, which opens at 3 from river-high 3, within 2,000 m and 1 h, and clears after 10 min",
        "weighs 3, opens at 3",
        "river-high: moderate at 3: 0.5 beyond it; 2 of 2 readings in a row",
        "river-high: severe at 4: 0.5 short of it",
    ] {
        says(&mut page, reasons, said).await;
    }
    // The other flood is abnormal under the same rule, and too far away.
    says(&mut page, reasons, "m away (within 2,000 m)").await;
    key(&mut page, "w").await;
    page.until("document.querySelector('[data-testid=reasons]') === null")
        .await;

    // And of a sensor that opened nothing: why not.
    server.post_readings(&[level("e", "wl-1", &at(33), 1.0)]);
    let second = "#incidents [data-kind=flood]:nth-child(2)";
    click(&mut page, second).await;
    // Until it is drawn, the buttons of the first are there.
    page.until(&format!(
        "document.querySelector('[data-testid=detail-id]')?.textContent === \
         document.querySelector('{second}').dataset.incidentId"
    ))
    .await;
    click(&mut page, "[data-testid=look-at-sensor]").await;
    says(&mut page, "[data-testid=sensor-facts]", "Said1 m").await;
    says(
        &mut page,
        "[data-testid=sensor-why]",
        "moderate at 3: 2 short of it",
    )
    .await;
    // Whoever goes on looking sees what it says meanwhile, and asks no more once it is left.
    server.post_readings(&[level("f", "wl-1", &at(34), 2.0)]);
    says(&mut page, "[data-testid=sensor-facts]", "Said2 m").await;
    click(&mut page, "[data-testid=dialog-leave]").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_says_what_belongs_together_and_reads_why_it_is_refused() {
    let site = site();
    let server = site.start();
    floods(&server);
    let mut page = console(&server, &site).await;
    page.until("document.querySelectorAll('#incidents [data-kind=flood]').length === 2")
        .await;
    choose(&mut page, "flood").await;

    key(&mut page, "m").await;
    click(&mut page, "dialog input[type=radio]").await;
    write(&mut page, "note", "one wave").await;
    click(&mut page, GO).await;
    let merged = wait_for("one flood", || {
        let floods = of_kind(&server, "flood");
        (floods.len() == 1).then(|| floods[0].clone())
    });
    assert_eq!(merged["sensors"], 2);
    says(&mut page, "[data-testid=timeline]", "became part of it").await;

    // What is refused is told where it was written, and can be mended there.
    key(&mut page, "s").await;
    // The sources of what became part of it can be chosen too.
    page.until("document.querySelectorAll('dialog input[name=source]').length === 2")
        .await;
    write(&mut page, "others", "nobody").await;
    click(&mut page, GO).await;
    says(
        &mut page,
        "[data-testid=refused]",
        "Not done: none of its evidence is of what is named",
    )
    .await;
    write(&mut page, "others", "").await;
    click(&mut page, "dialog input[name=part]").await;
    click(&mut page, GO).await;
    wait_for("two floods again", || {
        (of_kind(&server, "flood").len() == 2).then_some(())
    });
    page.until("document.querySelector('dialog') === null")
        .await;

    let [one, other] = of_kind(&server, "flood").try_into().unwrap();
    page.evaluate(&format!(
        "location.hash = 'incident={}'",
        one["id"].as_str().unwrap()
    ))
    .await;
    says(
        &mut page,
        "[data-testid=detail-id]",
        one["id"].as_str().unwrap(),
    )
    .await;
    key(&mut page, "l").await;
    click(
        &mut page,
        &format!("dialog input[value={}]", other["id"].as_str().unwrap()),
    )
    .await;
    click(&mut page, GO).await;
    let parent = |server: &Server| {
        server.get_json(&format!(
            "/api/v1/incidents/{}",
            one["id"].as_str().unwrap()
        ))["incident"]["parent"]
            .clone()
    };
    wait_for("the cause", || {
        (parent(&server) == other["id"]).then_some(())
    });
    says(
        &mut page,
        "[data-testid=family]",
        "Caused byFlood, Old Town",
    )
    .await;
    key(&mut page, "u").await;
    click(&mut page, GO).await;
    wait_for("no cause", || {
        (parent(&server) == Value::Null).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symptom_is_seen_with_its_cause_and_leads_there() {
    let site = site();
    let server = site.start();
    server.post_readings(&[
        state("a", "fd-1", "feeder", 30, 0.0),
        state("b", "pm-1", "pump", 31, 0.0),
    ]);
    let symptom = wait_for("the symptom", || of_kind(&server, "pump_failure").pop());
    assert_eq!(symptom["suppressed_by"], symptom["parent"]);
    let mut page = console(&server, &site).await;
    let row = "#incidents [data-kind=pump_failure] [data-testid=suppressed]";
    says(
        &mut page,
        row,
        "suppressed by design: caused by Outage, Old Town",
    )
    .await;
    let hidden = format!("getComputedStyle(document.querySelector('{row}')).display");
    assert_ne!(page.evaluate(&hidden).await, "none");
    let badge = "document.querySelector('[data-tab=new] .badge').textContent";
    assert_eq!(page.evaluate(badge).await, "1", "nobody is called for it");

    choose(&mut page, "outage").await;
    let kin = "#detail [data-testid=kin]";
    says(&mut page, kin, "Pump failure, Old Town").await;
    says(&mut page, kin, "suppressed by design").await;
    click(&mut page, kin).await;
    says(
        &mut page,
        "[data-testid=detail-id]",
        symptom["id"].as_str().unwrap(),
    )
    .await;
    says(
        &mut page,
        "[data-testid=by-design]",
        "Outage, Old Town has caused it",
    )
    .await;
    click(&mut page, kin).await;
    says(
        &mut page,
        "[data-testid=detail-id]",
        symptom["parent"].as_str().unwrap(),
    )
    .await;

    // The cause is over and the pump still stands: it is news.
    let well = |id: &str, minute: u32| state(id, "fd-1", "feeder", minute, 11.0);
    server.post_readings(&[
        well("c", 32),
        well("d", 33),
        well("e", 50),
        state("f", "pm-1", "pump", 51, 0.0),
    ]);
    page.until("document.querySelector('#incidents [data-kind=pump_failure]')?.classList.contains('fresh') ?? false")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_quiet_is_asked_for_shown_counted_and_ended() {
    let site = site();
    let server = site.start();
    let mut stream = Stream::open(server.http, None, None).await;
    server.post_readings(&[level("z", "wl-1", &at(20), 1.0)]);
    let mut page = console(&server, &site).await;

    key(&mut page, "q").await;
    write(&mut page, "sensor", "wl-1").await;
    says(
        &mut page,
        "[data-testid=kept-preview]",
        "Would have hidden nothing",
    )
    .await;
    let go = format!("document.querySelector('{GO}').disabled");
    assert_eq!(page.evaluate(&go).await, true, "it needs a reason");
    write(&mut page, "zone", "nowhere").await;
    write(&mut page, "reason", "the gauge is cleaned").await;
    click(&mut page, GO).await;
    says(
        &mut page,
        "[data-testid=refused]",
        "no rule, kind or zone has this name",
    )
    .await;
    write(&mut page, "zone", "").await;
    click(&mut page, GO).await;
    let begun = stream.decision("suppression_started").await;
    assert_eq!(begun["suppression"]["by"], "console");
    says(&mut page, "[data-testid=kept]", "shelved by console").await;

    floods(&server);
    let opened = stream.decision("incident_opened").await;
    assert_eq!(opened["cause"]["evidence"][0]["sensor"], "wl-8");
    assert_eq!(of_kind(&server, "flood").len(), 1, "that of wl-1 is quiet");
    let kept = server.get_json("/api/v1/suppressions")["suppressions"][0].clone();
    assert_eq!(kept["detections"], 1, "{kept}");

    // An incident is shelved too: it goes on, and says so.
    choose(&mut page, "flood").await;
    key(&mut page, "h").await;
    says(
        &mut page,
        "[data-testid=kept-preview]",
        "It was passed on to nobody",
    )
    .await;
    write(&mut page, "note", "the brigade knows").await;
    click(&mut page, GO).await;
    stream.decision("incident_shelved").await;
    says(
        &mut page,
        "#incidents [data-kind=flood] .handling",
        "shelved",
    )
    .await;

    // It ends, and what is still abnormal counts from then on.
    let of_wl_1 = format!(
        "[data-suppression-id={}] [data-testid=end]",
        kept["id"].as_str().unwrap()
    );
    click(&mut page, &of_wl_1).await;
    page.until("document.querySelectorAll('[data-testid=kept]').length === 1")
        .await;
    // Work that is spread goes on with the clock, which is that of the readings here.
    server.post_readings(&[level("e", "wl-8", &at(33), 3.5)]);
    let opened = stream.decision("incident_opened").await;
    assert_eq!(opened["cause"]["evidence"][0]["sensor"], "wl-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_hundreds_of_incidents_those_in_sight_are_drawn_and_each_is_found() {
    const MANY: usize = 300;
    let site = site();
    let server = site.start();
    // Gauges that nobody registered, five kilometres apart.
    let gauge = |number: usize, minute: u32| {
        let position = [
            101.0 + (number % 20) as f64 / 20.0,
            3.0 + (number / 20) as f64 / 20.0,
        ];
        json!({
            "id": format!("{number}-{minute}"), "sensor": format!("far-{number:03}"),
            "kind": "water_level", "unit": "m", "observed_at": at(minute), "value": 3.5,
            "position": position,
        })
        .to_string()
    };
    let readings: Vec<_> = [30, 31]
        .into_iter()
        .flat_map(|minute| (0..MANY).map(move |number| gauge(number, minute)))
        .collect();
    assert_eq!(server.post_readings(&readings).status, 200);
    let mut page = console(&server, &site).await;
    page.until(&format!(
        "document.querySelector('[data-tab=open] .badge').textContent === '{MANY}'"
    ))
    .await;
    let rows = "document.querySelectorAll('#incidents .row').length";
    page.until(&format!("{rows} > 5")).await;
    let drawn = page.evaluate(rows).await.as_u64().unwrap();
    assert!(drawn < 40, "{drawn} rows of {MANY}");

    // The last one is there as soon as somebody goes to it, and the keyboard leads on from it.
    key(&mut page, "End").await;
    let chosen = "#incidents [aria-selected=true]";
    page.until(&format!(
        "document.querySelector('{chosen}')?.getAttribute('aria-posinset') === '{MANY}'"
    ))
    .await;
    let in_sight = format!(
        "(() => {{ const [row, list] = ['{chosen}', '#incidents'].map((each) => \
         document.querySelector(each).getBoundingClientRect()); \
         return row.top >= list.top - 1 && row.bottom <= list.bottom + 1; }})()"
    );
    page.until(&in_sight).await;
    key(&mut page, "Enter").await;
    let focused = "document.activeElement.dataset.step === 'acknowledge'";
    assert_eq!(page.evaluate(focused).await, true);

    let last = server.incidents()[MANY / 3 - 1]["id"].clone();
    let last = last.as_str().unwrap();
    page.evaluate(&format!(
        "document.getElementById('find').value = '{last}'; \
         document.getElementById('find').dispatchEvent(new Event('input'))"
    ))
    .await;
    page.until(&format!(
        "document.querySelectorAll('#incidents .row').length === 1 && \
         document.querySelector('#incidents .row').dataset.incidentId === '{last}'"
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_can_be_read_and_worked_without_a_mouse_at_any_width() {
    let site = site();
    let server = site.start();
    server.post_readings(&[
        state("y", "fd-1", "feeder", 28, 0.0),
        state("z", "pm-1", "pump", 29, 0.0),
    ]);
    floods(&server);
    let mut page = console(&server, &site).await;
    page.until("document.querySelectorAll('#incidents .row').length === 4")
        .await;
    let audit = include_str!("audit.js");
    let none = Value::Array(Vec::new());
    for (width, height) in [
        (1440, 900),
        (1920, 1080),
        (1280, 720),
        (1100, 800),
        (800, 1000),
    ] {
        page.resize(width, height).await;
        for pressed in [
            "ArrowDown",
            "Enter",
            "w",
            "m",
            "Escape",
            "End",
            "q",
            "Escape",
        ] {
            match pressed {
                "Escape" => {
                    page.evaluate("document.querySelector('dialog').close()")
                        .await
                }
                pressed => key(&mut page, pressed).await,
            };
            page.evaluate("new Promise(requestAnimationFrame)").await;
            let wrong = page.evaluate(audit).await;
            assert_eq!(wrong, none, "{width} x {height}, after {pressed}");
        }
        // Folded again, nothing chosen.
        key(&mut page, "w").await;
        key(&mut page, "Escape").await;
    }
}
