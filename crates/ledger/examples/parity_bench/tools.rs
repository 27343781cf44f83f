//! The tools that are measured.

use std::process::Command;
use std::time::{Duration, Instant};

use cutover_domain::parity::{TableProgress, TableState};
use cutover_ledger::operations::Databases;
use cutover_ports::parity::{DataParity as _, Pair, ParityRequest, Site};
use cutover_ports::payment::SecretText;
use tokio::task::spawn_blocking;

use crate::servers::{DATABASE, Servers};

/// A comparison may take so long.
const BUDGET: Duration = Duration::from_mins(30);
/// pt-table-checksum's code for: all is done, and rows differ.
const DIFFERENCES: i32 = 16;

/// Our comparison of the table of payments, to its end.
pub(crate) async fn cutover(servers: &Servers) -> (TableProgress, Duration) {
    let site = |color: &str| Site {
        name: color.to_owned(),
        secret: SecretText::new(servers.secret(color)),
    };
    let pair = Pair {
        blue: site("blue"),
        green: site("green"),
    };
    let request = ParityRequest {
        tables: vec!["payments".to_owned()],
        ..ParityRequest::default()
    };
    let begun = Instant::now();
    let compared = Databases::default()
        .compare_rows(&pair, &request, None, BUDGET)
        .await;
    let took = begun.elapsed();
    let progress = compared.unwrap_or_else(|error| panic!("{error}: {}", error.source));
    assert!(progress.is_finished(), "{progress:?}");
    (progress.tables.into_iter().next().expect("one table"), took)
}

/// What our comparison says, in a word or two.
pub(crate) fn said(table: &TableProgress) -> String {
    match &table.state {
        TableState::Equal => "equal".to_owned(),
        TableState::Differs(_) => {
            let keys: Vec<&str> = table.differing.iter().map(|row| row.key.as_str()).collect();
            format!("differs: {}", keys.join("; "))
        }
        other => panic!("{other:?}"),
    }
}

/// pt-table-checksum with its own defaults, but that it is told of the replica, and takes one with a row-based log.
pub(crate) async fn pt_table_checksum(
    servers: &Servers,
    rows: u32,
) -> Result<(u64, Duration, String), String> {
    let (blue, green) = (servers.port("blue"), servers.port("green"));
    servers.in_blue(&format!(
        "CREATE DATABASE percona; CREATE TABLE percona.dsns (id INT PRIMARY KEY, parent_id INT, dsn VARCHAR(255)); \
         INSERT INTO percona.dsns VALUES (1, NULL, 'h=127.0.0.1,P={green},u=root')"
    ));
    let ran = spawn_blocking(move || {
        let begun = Instant::now();
        let output = Command::new("pt-table-checksum")
            .arg(format!("h=127.0.0.1,P={blue},u=root"))
            .arg(format!("--databases={DATABASE}"))
            .args([
                "--tables=payments",
                "--no-check-binlog-format",
                "--no-version-check",
            ])
            .arg("--recursion-method=dsn=D=percona,t=dsns")
            .output();
        (output, begun.elapsed())
    });
    let (output, took) = ran.await.expect("it runs");
    let output = output.map_err(|error| error.to_string())?;
    let answer = String::from_utf8_lossy(&output.stdout);
    let columns =
        |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    // TS ERRORS DIFFS ROWS DIFF_ROWS CHUNKS SKIPPED TIME TABLE
    let line = answer.lines().map(columns).find(|line| {
        line.last()
            .is_some_and(|table| table.ends_with(".payments"))
    });
    let number = |place: usize| -> Option<u64> { line.as_ref()?.get(place)?.parse().ok() };
    let (Some(0), Some(differing), Some(read)) = (number(1), number(2), number(3)) else {
        return Err(format!(
            "{answer}{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    };
    assert!(read >= u64::from(rows), "it read {read} rows");
    assert_eq!(
        output.status.code(),
        Some(DIFFERENCES),
        "it found the changed cent: {answer}"
    );
    Ok((read, took, format!("differs: {differing} chunks")))
}
