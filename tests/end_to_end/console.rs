//! The console in a real browser.

use serde_json::Value;

use crate::browser::Page;
use crate::devices;
use crate::formats::{ALERT, CAP};
use crate::support::{Server, Site, high_water, river_city, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_reads_what_an_alert_says_and_may_follow_its_link() {
    let site = Site::new(&river_city());
    let server = site.start();
    assert_eq!(server.post("/api/v1/readings", &CAP, ALERT).status, 200);
    let mut page = chosen(&server, &site.token()).await;
    let link = "document.querySelector('[data-testid=statements] a')";
    page.until(&format!("{link} !== null")).await;
    let said = page.evaluate(&format!("{link}.textContent")).await;
    assert_eq!(said, "Leave the river banks");
    let leads = page.evaluate(&format!("{link}.getAttribute('href')")).await;
    assert_eq!(leads, "https://met.example/7");
    let rel = page.evaluate(&format!("{link}.rel")).await;
    assert_eq!(rel, "noopener noreferrer");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_an_incident_appear_and_acknowledges_it() {
    let site = Site::new(&river_city());
    let server = site.start();
    let url = format!("http://{}/#token={}", server.http, site.token());
    let mut page = Page::open(&url).await;
    page.until("document.querySelector('[data-testid=connection]')?.dataset.state === 'live'")
        .await;
    assert_eq!(
        page.evaluate("location.hash").await,
        "",
        "the token leaves the address bar"
    );
    let none = "document.querySelectorAll('[data-incident-id]').length === 0";
    assert_eq!(page.evaluate(none).await, true);

    server.post_readings(&high_water());
    page.until("document.querySelector('[data-incident-id]') !== null")
        .await;
    let listed = "document.querySelector('[data-incident-id]').textContent.toLowerCase()";
    let text = page.evaluate(listed).await;
    assert!(text.as_str().unwrap().contains("moderate"), "{text}");

    page.evaluate("document.querySelector('[data-incident-id]').click()")
        .await;
    let button = "document.querySelector('[data-testid=acknowledge]')";
    page.until(&format!("{button} !== null && !{button}.disabled"))
        .await;
    page.evaluate(&format!("{button}.click()")).await;
    wait_for("the acknowledgement", || {
        (server.incidents()[0]["handling"] == "acknowledged").then_some(())
    });
    page.until(
        "document.querySelector('[data-incident-id]').textContent.toLowerCase()\
         .includes('acknowledged')",
    )
    .await;
}

/// A page of the city with one incident that is chosen, and what it shows.
async fn chosen(server: &Server, token: &str) -> Page {
    let url = format!("http://{}/#token={token}", server.http);
    let mut page = Page::open(&url).await;
    page.until("document.querySelector('[data-incident-id]') !== null")
        .await;
    page.evaluate("document.querySelector('[data-incident-id]').click()")
        .await;
    page
}

fn button(name: &str) -> String {
    format!("document.querySelector('[data-testid={name}]')")
}

/// Presses a button, once it is there and can be pressed.
async fn press(page: &mut Page, name: &str) {
    let button = button(name);
    page.until(&format!("{button} !== null && !{button}.disabled"))
        .await;
    page.evaluate(&format!("{button}.click()")).await;
}

/// Waits until the server's first incident is handled so.
fn handled(server: &Server, handling: &str) {
    wait_for(handling, || {
        (server.incidents()[0]["handling"] == handling).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_confirms_and_undoes_dismisses_with_a_reason_and_sees_who_did_what() {
    let site = Site::new(&river_city());
    let server = site.start();
    server.post_readings(&high_water());
    let mut page = chosen(&server, &site.token()).await;
    press(&mut page, "confirm").await;
    handled(&server, "confirmed");
    press(&mut page, "undo").await;
    handled(&server, "new");

    press(&mut page, "dismiss").await;
    let reason = "document.querySelector('[data-testid=dialog] select')";
    page.until(&format!("{reason} !== null")).await;
    page.evaluate(&format!("{reason}.value = 'planned'")).await;
    let note = "document.querySelector('[data-testid=dialog] textarea')";
    page.evaluate(&format!("{note}.value = 'a drill at the quay'"))
        .await;
    press(&mut page, "dialog-go").await;
    handled(&server, "dismissed");
    assert_eq!(server.incidents()[0]["dismissed_as"], "planned");
    page.until(
        "document.querySelector('[data-testid=timeline]').textContent\
         .includes('Dismissed as planned by console: a drill at the quay')",
    )
    .await;
    let steps = "document.querySelector('[data-testid=timeline]').textContent";
    let steps = page.evaluate(steps).await;
    let steps = steps.as_str().unwrap();
    for told in ["Confirmed by console", "Last step undone by console"] {
        assert!(steps.contains(told), "{steps}");
    }

    press(&mut page, "reopen").await;
    let go = button("dialog-go");
    page.until(&format!("{go} !== null && {go}.disabled")).await;
    press(&mut page, "dialog-leave").await;
    page.until("document.querySelector('[data-testid=dialog]') === null")
        .await;
    handled(&server, "dismissed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_opens_an_incident_that_no_sensor_knows_of() {
    let site = Site::new(&river_city());
    let server = site.start();
    let url = format!("http://{}/#token={}", server.http, site.token());
    let mut page = Page::open(&url).await;
    page.until("document.querySelector('[data-testid=connection]')?.dataset.state === 'live'")
        .await;
    press(&mut page, "open").await;
    let kind = "document.querySelector('[data-testid=dialog] input')";
    page.until(&format!("{kind} !== null")).await;
    page.evaluate(&format!(
        "{kind}.value = 'flood'; {kind}.dispatchEvent(new Event('input', {{ bubbles: true }}))"
    ))
    .await;
    // How grave it is nobody has said yet.
    let go = button("dialog-go");
    page.until(&format!("{go}.disabled")).await;
    let grave = "document.querySelector('[data-testid=dialog] select[name=severity]')";
    page.evaluate(&format!(
        "{grave}.value = 'moderate'; {grave}.dispatchEvent(new Event('input', {{ bubbles: true }}))"
    ))
    .await;
    press(&mut page, "dialog-go").await;
    page.until("document.querySelector('[data-incident-id]') !== null")
        .await;
    let first = server.incidents()[0].clone();
    assert_eq!(first["kind"], "flood");
    assert_eq!(first["severity"], "moderate");
    // Another one is proposed where the chosen one is.
    page.evaluate("document.querySelector('[data-incident-id]').click()")
        .await;
    page.until(&format!("{} === null", button("dialog"))).await;
    press(&mut page, "open").await;
    let place = "document.querySelector('[data-testid=dialog] select[name=place]')";
    page.until(&format!("{place}?.value === 'chosen'")).await;
    press(&mut page, "dialog-leave").await;
    assert_eq!(server.incidents()[0]["handled_by"], "console");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_moves_nothing_before_it_is_confirmed() {
    let site = Site::new(&devices::city());
    let server = site.start();
    let url = format!("http://{}/#token={}", server.http, site.token());
    let mut page = Page::open(&url).await;
    let order = "document.querySelector('[data-actuator=siren][data-command=sound]')";
    let last = |server: &Server| server.get_json("/api/v1/actuators/siren")["actuator"].clone();
    for go_on in ["dialog-leave", "dialog-go"] {
        page.until(&format!("{order} !== null && !{order}.disabled"))
            .await;
        page.evaluate(&format!("{order}.click()")).await;
        page.until(&format!("{} !== null", button("dialog"))).await;
        assert_eq!(last(&server)["last"], Value::Null);
        press(&mut page, go_on).await;
        page.until(&format!("{} === null", button("dialog"))).await;
    }
    wait_for("the order", || {
        (last(&server)["last"]["command"] == "sound").then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_is_counted_in_the_console() {
    let site = Site::new(&river_city());
    let server = site.start();
    server.post("/api/v1/readings", &[], r#"{"sensor":"wl-1","value":null}"#);
    let page = format!("http://{}/", server.http);
    let mut page = Page::open(&page).await;
    let letters = button("dead-letters");
    page.until(&format!("{letters}?.textContent.includes('1 message')"))
        .await;
    let told = server.get_json("/api/v1/status");
    assert_eq!(told["dead_letters"]["waiting"], 1, "{told}");
    assert_eq!(told["disk_full"], false);
}
