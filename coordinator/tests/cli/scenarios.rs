//! Scenarios and scripts, before there is a broker or a service.

use super::site::Site;

const REFUSED: &str = "scenario: the carrier says no
saga: order-fulfilment
start: { order_id: ord-1, region: EU, total: '1.00', currency: EUR, items: [] }
answers: { reserve_stock: succeeded, charge_payment: succeeded, ship: { refused: NO_SLOT } }
ends: ";

#[test]
fn scenarios_pass_fail_or_cannot_be_read() {
    let site = Site::new();
    let (code, told, errors) = site.ringmaster(&["test", "--coverage-min", "100"]);
    assert!(code == 0 && told.contains("scenarios passed"), "{told} {errors}");
    let file = site.write("other.yaml", &format!("{REFUSED}completed"));
    let (code, told, errors) = site.ringmaster(&["test", "other.yaml"]);
    assert!(code == 1 && told.contains("+             ends: compensated"), "{told} {errors}");
    assert!(told.contains("other.yaml:5: it must end completed: it is compensated, NO_SLOT at ship\n"), "{told}");
    std::fs::write(&file, format!("{REFUSED}compensatd")).expect("written");
    let (code, _, errors) = site.ringmaster(&["test", "other.yaml"]);
    assert!(code == 6 && errors.contains("other.yaml:5:7: error:") && errors.contains("did you mean 'compensated'?"), "{errors}");
    assert_eq!(site.ringmaster(&["test", "nowhere"]).0, 9);
}

#[test]
fn a_script_is_checked_and_needs_kafka_to_run() {
    let site = Site::new();
    site.write("script.yaml", "commands: { payment.Charge: { if: body.amount > 5000, refused: CARD_DECLINED } }");
    let (code, told, errors) = site.ringmaster(&["participant", "script.yaml", "--check"]);
    assert_eq!((code, told.as_str()), (0, "script.yaml: it is right; it answers for payment\n"), "{errors}");
    let (code, _, errors) = site.ringmaster(&["participant", "script.yaml"]);
    assert!(code == 4 && errors.starts_with("the embedded bus belongs to the process"), "{errors}");
    site.write("script.yaml", "participants: [ paymnt ]");
    let (code, _, errors) = site.ringmaster(&["participant", "script.yaml"]);
    assert!(code == 6 && errors.contains("script.yaml:1:17: error:") && errors.contains("did you mean 'payment'?"), "{errors}");
}

/// Whichever command reads it.
#[test]
fn a_file_that_is_no_text_or_missing_is_told_in_one_way() {
    let site = Site::new();
    std::fs::write(site.folder.path().join("latin.yaml"), b"# first\n# K\xe4se\n").expect("written");
    for command in [&["check"][..], &["graph"], &["test"], &["participant", "--check"], &["eval", "start.a", "--event"]] {
        let (code, said, errors) = site.ringmaster(&[command, &["latin.yaml"]].concat());
        let says = "latin.yaml:2:1: error: this line is not UTF-8";
        assert!(code == 6 && said.is_empty() && errors.starts_with(says), "{command:?}: {code} {said}{errors}");
        assert!(errors.contains("save the file as UTF-8 text"), "{errors}");
        let (code, said, errors) = site.ringmaster(&[command, &["nowhere.yaml"]].concat());
        assert!(code == 9 && said.is_empty() && errors.contains("nowhere.yaml"), "{command:?}: {code} {said}{errors}");
    }
}
