//! What a gate keeps: the same verdict for the same request, and no hold on what is removed or taken back.

use std::cell::Cell;
use std::time::Duration;

use cutover_custom_resource::fakes::AnswerServer;
use cutover_custom_resource::{Ended, Kind, Outcome, Progress, Protocol, Served, Terms, Verdict};
use cutover_lambda::clock;
use cutover_ports::memory::fakes::FakeMemory;
use serde_json::{Map, Value, json};

use crate::answers::{event, in_ms};

/// A gate with a memory, and a count of how often its handler was asked.
struct Gate {
    memory: FakeMemory,
    handled: Cell<usize>,
    server: AnswerServer,
}

impl Gate {
    fn new() -> Self {
        Self {
            memory: FakeMemory::default(),
            handled: Cell::new(0),
            server: AnswerServer::start(&[200]),
        }
    }

    fn event(&self, kind: &str, id: &str, new: &Value, old: Option<&Value>) -> Value {
        let mut event = event(&self.server.url(), kind);
        event["RequestId"] = json!(id);
        event["ResourceProperties"] = new.clone();
        if let Some(old) = old {
            event["OldResourceProperties"] = old.clone();
        }
        event
    }

    async fn serve(&self, event: &Value, verdict: Verdict) -> Served {
        let terms = Terms {
            kind: Kind::Gate(attributes("rollback")),
            memory: Some(&self.memory),
            ..Terms::default()
        };
        let ended = Protocol::default()
            .serve_with(&event.to_string(), in_ms(5_000), terms, async |_, _| {
                self.handled.set(self.handled.get() + 1);
                Outcome::Answer(verdict)
            })
            .await
            .unwrap();
        match ended {
            Ended::Answered(served) => served,
            Ended::Continued(request) => panic!("{request:?}"),
        }
    }
}

fn attributes(status: &str) -> Map<String, Value> {
    Map::from_iter([("Status".to_owned(), json!(status))])
}

fn passed() -> Verdict {
    Verdict::Success(attributes("pass"))
}

fn failed(reason: &str) -> Verdict {
    Verdict::Failed(reason.to_owned())
}

#[tokio::test]
async fn the_same_request_twice_gets_the_same_verdict() {
    let gate = Gate::new();
    let create = gate.event("Create", "r-1", &json!({"A": "1"}), None);
    for (first, second) in [(passed(), failed("later")), (failed("no"), passed())] {
        let gate = Gate::new();
        let mut create = create.clone();
        create["ResponseURL"] = json!(gate.server.url());
        gate.serve(&create, first.clone()).await;
        let replayed = gate.serve(&create, second).await;
        assert_eq!(replayed.verdict, first);
        assert_eq!(gate.handled.get(), 1);
        let puts = gate.server.puts();
        assert_eq!(puts[0].body, puts[1].body);
    }
}

#[tokio::test]
async fn another_request_gets_a_verdict_of_its_own() {
    let gate = Gate::new();
    let properties = json!({"A": "1"});
    gate.serve(&gate.event("Create", "r-1", &properties, None), passed())
        .await;
    let second = gate.event("Create", "r-2", &properties, None);
    let served = gate.serve(&second, failed("no")).await;
    assert_eq!((served.verdict, gate.handled.get()), (failed("no"), 2));
    let mut other_stack = gate.event("Create", "r-1", &properties, None);
    other_stack["StackId"] = json!("arn:stack/2");
    let served = gate.serve(&other_stack, failed("its own")).await;
    assert_eq!(served.verdict, failed("its own"));
}

#[tokio::test]
async fn of_two_deliveries_at_once_the_first_verdict_stands() {
    let gate = Gate::new();
    let create = gate.event("Create", "r-1", &json!({}), None).to_string();
    let serve = |verdict, ms| {
        let (create, memory) = (create.clone(), gate.memory.clone());
        async move {
            let terms = Terms {
                memory: Some(&memory),
                ..Terms::default()
            };
            let handle = async |_, _| {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Outcome::Answer(verdict)
            };
            Protocol::default()
                .serve_with(&create, in_ms(5_000), terms, handle)
                .await
                .unwrap()
        }
    };
    let (slow, fast) = tokio::join!(serve(failed("slow"), 200), serve(passed(), 20));
    for ended in [slow, fast] {
        assert!(matches!(ended, Ended::Answered(served) if served.verdict == passed()));
    }
}

#[tokio::test]
async fn a_delete_succeeds_and_asks_nobody() {
    let gate = Gate::new();
    gate.memory.fail(true);
    for properties in [json!({}), json!({"Unknown": ["x"]}), json!("no object")] {
        let delete = gate.event("Delete", "r-1", &properties, None);
        let served = gate.serve(&delete, failed("never")).await;
        assert_eq!(served.verdict.status(), "SUCCESS");
    }
    assert_eq!((gate.handled.get(), gate.memory.calls()), (0, 0));
}

#[tokio::test]
async fn a_delete_of_an_id_that_cloudformation_made_up_answers_with_it() {
    let gate = Gate::new();
    let mut delete = gate.event("Delete", "r-1", &json!({}), None);
    delete["PhysicalResourceId"] = json!("stack-Gate-1ABCDEF");
    gate.serve(&delete, failed("never")).await;
    let answer = gate.server.puts()[0].json();
    assert_eq!(answer["PhysicalResourceId"], "stack-Gate-1ABCDEF");
    assert_eq!(answer["Status"], "SUCCESS");
}

#[tokio::test]
async fn a_delete_does_not_wait_for_a_create_that_runs() {
    let gate = Gate::new();
    let slow = gate.event("Create", "r-1", &json!({}), None).to_string();
    let create = async {
        let terms = Terms {
            memory: Some(&gate.memory),
            ..Terms::default()
        };
        let handle = async |_, _| {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Outcome::Answer(passed())
        };
        Protocol::default()
            .serve_with(&slow, in_ms(5_000), terms, handle)
            .await
            .unwrap();
        clock::now_ms()
    };
    let delete = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let delete = gate.event("Delete", "r-2", &json!({}), None);
        gate.serve(&delete, failed("never")).await;
        clock::now_ms()
    };
    let (created, deleted) = tokio::join!(create, delete);
    assert!(deleted < created);
    let ids: Vec<Value> = gate
        .server
        .puts()
        .iter()
        .map(|put| put.json()["RequestId"].clone())
        .collect();
    assert_eq!(ids, ["r-2", "r-1"], "one answer each, each to its own");
}

#[tokio::test]
async fn an_update_that_takes_a_failed_one_back_is_never_blocked() {
    let gate = Gate::new();
    let (a, b) = (json!({"Id": "1"}), json!({"Id": "2", "Also": ["x"]}));
    let forward = gate.event("Update", "r-1", &b, Some(&a));
    gate.serve(&forward, failed("no")).await;
    let back = gate.event("Update", "r-2", &a, Some(&b));
    let served = gate.serve(&back, failed("still no")).await;
    assert_eq!(served.verdict, Verdict::Success(attributes("rollback")));
    assert_eq!(gate.handled.get(), 1);
}

#[tokio::test]
async fn an_update_that_never_ended_can_be_taken_back() {
    let gate = Gate::new();
    let (a, b) = (json!({"Id": "1"}), json!({"Id": "2"}));
    let forward = gate.event("Update", "r-1", &b, Some(&a)).to_string();
    let terms = Terms {
        kind: Kind::Gate(Map::new()),
        memory: Some(&gate.memory),
        ..Terms::default()
    };
    // The invocation dies in its handler: it is dropped, and nobody answers.
    let protocol = Protocol::default();
    let dying = protocol.serve_with(&forward, in_ms(5_000), terms, async |_, _| {
        std::future::pending().await
    });
    let died = tokio::time::timeout(Duration::from_millis(100), dying).await;
    assert!(died.is_err() && gate.server.puts().is_empty());
    let back = gate.event("Update", "r-2", &a, Some(&b));
    let served = gate.serve(&back, failed("still no")).await;
    assert_eq!(served.verdict.status(), "SUCCESS");
}

#[tokio::test]
async fn an_update_after_one_that_passed_is_validated() {
    let gate = Gate::new();
    let (a, b) = (json!({"Id": "1"}), json!({"Id": "2"}));
    gate.serve(&gate.event("Update", "r-1", &b, Some(&a)), failed("no"))
        .await;
    gate.serve(&gate.event("Update", "r-2", &b, Some(&a)), passed())
        .await;
    let next = gate.event("Update", "r-3", &a, Some(&b));
    let served = gate.serve(&next, failed("no way back")).await;
    assert_eq!(served.verdict, failed("no way back"));
    assert_eq!(gate.handled.get(), 3);
}

#[tokio::test]
async fn an_owner_is_asked_for_each_delete_and_rollback() {
    let memory = FakeMemory::default();
    let server = AnswerServer::start(&[200]);
    let mut handled = 0;
    for (id, kind) in [("r-1", "Update"), ("r-2", "Update"), ("r-3", "Delete")] {
        let mut event = event(&server.url(), kind);
        event["RequestId"] = json!(id);
        event["OldResourceProperties"] = event["ResourceProperties"].clone();
        let terms = Terms {
            memory: Some(&memory),
            ..Terms::default()
        };
        Protocol::default()
            .serve_with(&event.to_string(), in_ms(5_000), terms, async |_, _| {
                handled += 1;
                Outcome::Answer(failed("no"))
            })
            .await
            .unwrap();
    }
    assert_eq!(handled, 3);
}

#[tokio::test]
async fn without_a_memory_there_is_still_one_answer() {
    let gate = Gate::new();
    gate.memory.fail(true);
    let update = gate.event("Update", "r-1", &json!({}), Some(&json!({"A": "1"})));
    let served = gate.serve(&update, failed("no")).await;
    assert_eq!(served.verdict, failed("no"));
    assert!(served.memory_fault.is_some());
    assert_eq!(gate.server.puts().len(), 1);
}

#[tokio::test]
async fn a_panic_in_the_handler_is_answered_with_failed() {
    let gate = Gate::new();
    let create = gate.event("Create", "r-1", &json!({}), None).to_string();
    let terms = Terms {
        memory: Some(&gate.memory),
        ..Terms::default()
    };
    let ended = Protocol::default()
        .serve_with(&create, in_ms(5_000), terms, async |_, _| {
            panic!("password=hunter2");
        })
        .await
        .unwrap();
    let Ended::Answered(served) = ended else {
        panic!("{ended:?}");
    };
    let Verdict::Failed(reason) = served.verdict else {
        panic!("it failed");
    };
    assert!(reason.contains("panic") && !reason.contains("hunter2"));
    // The process serves the next event as if nothing had been.
    let next = gate.event("Create", "r-2", &json!({}), None);
    assert_eq!(gate.serve(&next, passed()).await.verdict, passed());
}

async fn hanging(event: &Value, began_ms: Option<u64>, ms: u64) -> (String, u64) {
    let progress = Progress::default();
    let terms = Terms {
        progress: progress.clone(),
        began_ms,
        ..Terms::default()
    };
    let begun_ms = clock::now_ms();
    let ended = Protocol::default()
        .serve_with(&event.to_string(), in_ms(ms), terms, async |_, _| {
            let _done = progress.begin("quick");
            drop(_done);
            let _hangs = progress.begin("blue-login");
            std::future::pending().await
        })
        .await
        .unwrap();
    let Ended::Answered(Served {
        verdict: Verdict::Failed(reason),
        ..
    }) = ended
    else {
        panic!("it failed");
    };
    (reason, clock::now_ms() - begun_ms)
}

#[tokio::test]
async fn the_guard_names_what_hangs() {
    let server = AnswerServer::start(&[200]);
    let (reason, took_ms) = hanging(&event(&server.url(), "Create"), None, 600).await;
    assert!(
        reason.contains("blue-login") && !reason.contains("quick"),
        "{reason}"
    );
    assert!(took_ms < 600, "{took_ms}");
    assert_eq!(server.puts().len(), 1);
}

#[tokio::test]
async fn the_guard_minds_how_long_cloudformation_waits() {
    let server = AnswerServer::start(&[200]);
    let mut event = event(&server.url(), "Create");
    event["ResourceProperties"]["ServiceTimeout"] = json!("2");
    let (_, took_ms) = hanging(&event, None, 60_000).await;
    assert!((900..2_000).contains(&took_ms), "{took_ms}");
    // An earlier invocation used the time up.
    let began_ms = clock::now_ms() - 1_900;
    let (_, took_ms) = hanging(&event, Some(began_ms), 60_000).await;
    assert!(took_ms < 500, "{took_ms}");
}

#[tokio::test]
async fn what_is_continued_is_answered_by_nobody_yet() {
    let gate = Gate::new();
    let create = gate.event("Create", "r-1", &json!({}), None);
    let terms = Terms {
        memory: Some(&gate.memory),
        ..Terms::default()
    };
    let ended = Protocol::default()
        .serve_with(&create.to_string(), in_ms(5_000), terms, async |_, _| {
            Outcome::Continued
        })
        .await
        .unwrap();
    assert!(matches!(ended, Ended::Continued(_)));
    assert!(gate.server.puts().is_empty() && gate.memory.notes().is_empty());
    gate.serve(&create, passed()).await;
    assert_eq!(gate.server.puts().len(), 1);
}

/// Two events one after the other in one process: nothing of the first is in the second's answer.
#[tokio::test]
async fn a_warm_process_carries_nothing_over() {
    let (first, second) = (Gate::new(), Gate::new());
    let event = first.event("Create", "r-1", &json!({"A": "1"}), None);
    first.serve(&event, failed("of the first")).await;
    let broken = json!({"RequestType": "Create", "StackId": "s", "RequestId": "r", "LogicalResourceId": "l"});
    let unanswered = Protocol::default()
        .serve(&broken.to_string(), in_ms(5_000), async |_, _| passed())
        .await;
    assert!(unanswered.is_err(), "it says nowhere where to");
    assert_eq!(
        first.server.puts().len(),
        1,
        "and not to the last event's URL"
    );
    let mut event = second.event("Create", "r-2", &json!({}), None);
    event["LogicalResourceId"] = json!("Other");
    second.serve(&event, passed()).await;
    let answer = second.server.puts()[0].json();
    assert_eq!(answer["RequestId"], "r-2");
    assert!(!answer.to_string().contains("of the first"));
    assert_eq!(first.server.puts().len(), 1);
}

/// A verdict was kept and its delivery failed: Lambda delivers the event again, and it is only delivered.
#[tokio::test]
async fn an_answer_that_did_not_arrive_is_delivered_by_the_repeated_event() {
    let gate = Gate::new();
    let mut create = gate.event("Create", "r-1", &json!({}), None);
    let refusing = AnswerServer::start(&[403]);
    create["ResponseURL"] = json!(refusing.url());
    let terms = Terms {
        memory: Some(&gate.memory),
        ..Terms::default()
    };
    let first = Protocol::default()
        .serve_with(&create.to_string(), in_ms(5_000), terms, async |_, _| {
            Outcome::Answer(failed("found"))
        })
        .await;
    assert!(first.is_err());
    create["ResponseURL"] = json!(gate.server.url());
    let served = gate.serve(&create, passed()).await;
    assert_eq!((served.verdict, gate.handled.get()), (failed("found"), 0));
}
