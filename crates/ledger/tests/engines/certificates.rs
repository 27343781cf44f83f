//! Whom the ledger believes, and what it tells whom.

use cutover_domain::payment::Color;
use cutover_ports::payment::Applied;
use cutover_testkit::Certificate;

use crate::world::{Kind, World, claim, ledger_of, post, recorded};

on_both_engines!(
    a_server_without_tls_gets_no_password,
    a_server_is_believed_only_with_a_certificate_of_a_known_authority,
);

async fn a_server_without_tls_gets_no_password(kind: Kind) {
    let world = World::new(kind);
    let ledger = ledger_of(world.secret_with_tls(world.port(), "first"), None);
    let refused = post(&ledger, &claim("k", "t"), Color::Blue).await;
    assert_eq!(refused.map_err(|(applied, _)| applied), Err(Applied::No));
    assert_eq!(world.count(), 0);
}

async fn a_server_is_believed_only_with_a_certificate_of_a_known_authority(kind: Kind) {
    let certificate = Certificate::make();
    let world = World::alone(kind, Some(&certificate));
    let with_tls = world.secret_with_tls(world.port(), "first");

    let known = ledger_of(with_tls.clone(), Some(certificate.authority()));
    let first = claim("k-1", "t-1");
    assert_eq!(
        post(&known, &first, Color::Blue).await,
        recorded(&first, Color::Blue)
    );

    // The built-in authorities do not vouch for it, nor does another one, nor does anyone for another name; and a file
    // without certificates vouches for no one.
    let another = Certificate::make();
    let other_name = with_tls.replace("127.0.0.1", "localhost");
    // The server insists on TLS, so that what is refused below is refused by one side or the other.
    let plain = world.secret(world.port(), "first");
    for (secret, authority) in [
        (with_tls.clone(), None),
        (with_tls.clone(), Some(another.authority())),
        (other_name, Some(certificate.authority())),
        (with_tls.clone(), Some(certificate.server_key())),
        (with_tls, Some("/nonexistent".into())),
        (plain, Some(certificate.authority())),
    ] {
        let doubtful = ledger_of(secret, authority.clone());
        let refused = post(&doubtful, &claim("k-2", "t-2"), Color::Blue).await;
        assert!(
            matches!(refused, Err((Applied::No, _))),
            "{authority:?}: {refused:?}"
        );
    }
    assert_eq!(world.count(), 1);
}
