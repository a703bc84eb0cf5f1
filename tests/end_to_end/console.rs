//! The console in a real browser.

use crate::browser::Page;
use crate::support::{Site, high_water, river_city, wait_for};

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
