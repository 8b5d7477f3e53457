//! Settings change while sagas run: what was decided stays as it was.

use std::path::Path;
use std::sync::Arc;

use ringmaster_core::definition::{Definition, Participant, Settings, compile};
use ringmaster_core::saga::{Basis, Breakers, Evaluated, Input, Outcome, ReplyInput, Scratch, StartInput, apply, decide};
use ringmaster_schemas::avro::Resolver;
use ringmaster_schemas::journal::{Encoding, Order, SagaEvent};
use ringmaster_schemas::json;
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::Saga;

const NOW: i64 = 1_900_000_000_000;

/// The order saga, with inventory's commands written in this way.
fn order(encoding: Encoding) -> Definition {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sagas");
    let text = std::fs::read_to_string(folder.join("order-fulfilment.yaml")).expect("the definition");
    let mut schemas = Schemas::load_folder(&folder.join("schemas")).expect("its schemas");
    let mut settings = Settings::new(&mut schemas);
    settings.participants.insert("inventory".to_owned(), Participant { encoding, ..Participant::default() });
    compile("order-fulfilment.yaml", &text, &mut settings).expect("it is right").remove(0)
}

/// Decides, applies, and returns the commands that were issued.
fn take(definition: &Definition, saga: &mut Option<Arc<Saga>>, input: &Input) -> Vec<Order> {
    let id: Arc<str> = "order-fulfilment/o-1".into();
    let basis = Basis { definition, values: &Evaluated::new(definition), breakers: &Breakers::default(), above: &[] };
    let decided = decide(basis, &id, saga.as_ref(), input, NOW, &mut Scratch::default()).expect("it is taken");
    decided.events.iter().for_each(|event| apply(&id, saga, event, NOW).expect("a decided event is legal"));
    let order = |event: SagaEvent| match event {
        SagaEvent::CommandIssued { order, .. } | SagaEvent::UndoIssued { order, .. } => Some(order),
        _ => None,
    };
    decided.events.into_iter().filter_map(order).collect()
}

fn start(definition: &Definition) -> Input {
    let text = r#"{"order_id":"o-1","customer_id":"c","region":"EU","total":"9.90","items":[{"sku":"s","qty":1}]}"#;
    let (start, mut whole, mut kept) = (&definition.starts[0], Vec::new(), Vec::new());
    json::transcode(&start.reader, text.as_bytes(), &mut whole).expect("it fits");
    Resolver::new(start.reader.clone(), start.kept.clone()).expect("a projection").resolve(&whole, &mut kept).expect("it fits");
    Input::Start(StartInput {
        key: "o-1".into(),
        start: kept,
        start_schema: start.kept.key(),
        traceparent: None,
        source: "orders/0".into(),
        version_offset: 0,
        priority: 5,
        search: Vec::new(),
        event_time: None,
        early: Vec::new(),
        by_hand: None,
    })
}

fn reply(step: &str, outcome: Outcome) -> Input {
    Input::Reply(ReplyInput { step: step.into(), direction: Direction::Do, attempt: 1, outcome })
}

#[test]
fn an_undo_made_of_its_dos_bytes_is_written_as_they_were() {
    for (before, behind) in [(Encoding::Avro, Encoding::Json), (Encoding::Json, Encoding::Avro)] {
        let (definition, changed) = (order(before), order(behind));
        assert_eq!(definition.hash, changed.hash, "one version under both settings");
        let mut saga = None;
        let reserve = take(&definition, &mut saga, &start(&definition)).remove(0);
        assert_eq!(reserve.fields().encoding, before);
        take(&definition, &mut saga, &reply("reserve_stock", Outcome::Succeeded { result: None }));
        let declined = Outcome::Refused { code: "CARD_DECLINED".into(), message: "".into() };
        let release = take(&changed, &mut saga, &reply("charge_payment", declined)).remove(0);
        let (reserve, release) = (reserve.fields(), release.fields());
        assert_eq!((release.command, release.encoding), ("inventory.ReleaseStock", before));
        assert_eq!(release.body, reserve.body);
        assert_eq!(release.envelope != 0, reserve.envelope != 0);
    }
}
