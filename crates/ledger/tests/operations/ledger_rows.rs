//! The ledger's rows of a window, page by page, none twice and none left out.

use cutover_domain::payment::{Color, Timestamp};
use cutover_ledger::operations::Databases;
use cutover_ports::parity::{LedgerRows as _, SchemaUpgrade as _, Window};

use crate::world::{BUDGET, Kind, World};

on_both_engines!(pages_cover_a_window);

async fn pages_cover_a_window(kind: Kind) {
    let world = World::new(kind);
    world.let_write("blue");
    let databases = Databases::default();
    databases
        .upgrade(&world.site("blue"), None, BUDGET)
        .await
        .unwrap();
    let (hash, at) = (
        world.either("UNHEX(SHA2(n, 256))", "sha256(n::text::bytea)"),
        // Ten rows a millisecond.
        world.either(
            "'2026-11-20 10:00:00' + INTERVAL (n DIV 10) * 1000 MICROSECOND",
            "'2026-11-20 10:00:00+00'::timestamptz + (n / 10) * interval '1 millisecond'",
        ),
    );
    world.blue(&format!(
        "INSERT INTO payments SELECT CONCAT('m:shop', n % 3), CONCAT('k ', n, ' '), CONCAT('t-', n), {hash}, \
         CASE n % 7 WHEN 0 THEN 'voided' ELSE 'completed' END, 'user', NULL, n * 100, 'USD', 2, NULL, NULL, {hash}, \
         'dev-payment-ab12cd34', CASE n % 2 WHEN 0 THEN 'blue' ELSE 'green' END, {at} FROM {}",
        world.numbers(1_000)
    ));
    let from: Timestamp = "2026-11-20T10:00:00.010Z".parse().unwrap();
    let until: Timestamp = "2026-11-20T10:00:00.050Z".parse().unwrap();
    let window = Window { from, until };
    let mut rows = Vec::new();
    let mut after = None;
    for _page in 0..100 {
        let site = world.site("blue");
        let page = databases
            .page(&site, window, after.as_ref(), 33, BUDGET)
            .await
            .unwrap();
        assert!(page.rows.len() <= 33);
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    // Rows 100 to 499.
    assert_eq!(rows.len(), 400);
    let mut amounts: Vec<i64> = rows.iter().map(|row| row.amount).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, (100..500).map(|n| n * 100).collect::<Vec<i64>>());
    let row = rows
        .iter()
        .find(|row| row.transaction_id == "t-140")
        .unwrap();
    assert_eq!(
        (row.scope.as_str(), row.idempotency_key.as_str()),
        ("m:shop2", "k 140 ")
    );
    assert_eq!(
        (row.currency.as_str(), row.voided, row.color),
        ("USD", true, Color::Blue)
    );
    assert_eq!(row.created_at.to_string(), "2026-11-20T10:00:00.014Z");
    assert!(
        rows.windows(2)
            .all(|pair| pair[0].created_at <= pair[1].created_at)
    );
}
