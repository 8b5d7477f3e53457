//! Files with anything in them: read or refused, played or not, and never a panic.

use super::*;

const GOOD: &str = "scenario: a trip
saga: trip
begins: 2026-11-27T08:00:00Z
start: { trip_id: t-1, nights: 2, price: '99.10', voucher: v }
answers:
  reserve_room: [ timeout, { failed: BUSY, message: x }, { room: '12' } ]
  redeem: succeeded
  undo redeem: { refused: SPENT }
  confirm: { refused: NO }
at: [ { after: 2h, answer: { redeem: { succeeded: { a: [ 1, -2.5e3, null, true ] } } } } ]
then: [ hotel.Reserve: { nights: 2 }, emit RoomReserved, shop.GiveBack ]
never: [ hotel.Release ]
stuck: redeem
code: SPENT
";
const COUNT: usize = 3_000;

#[test]
fn no_file_makes_it_panic() {
    let world = World::new();
    let mut random = fastrand::Rng::with_seed(7);
    let letters: Vec<char> = "abc:{}[],-'\"#&*!|>~ \n\t019.eäT".chars().collect();
    let (mut read_count, mut passed_count) = (0, 0);
    for _ in 0..COUNT {
        let mut text: Vec<char> = GOOD.chars().collect();
        for _ in 0..random.usize(0..3) {
            let at = random.usize(0..text.len());
            match random.u32(0..3) {
                0 => drop(text.remove(at)),
                1 => text.insert(at, letters[random.usize(0..letters.len())]),
                _ => text[at] = letters[random.usize(0..letters.len())],
            }
        }
        let text: String = text.into_iter().collect();
        for scenario in read("f.yaml", &text, world.known()).unwrap_or_default() {
            read_count += 1;
            passed_count += usize::from(play(&scenario, world.known(), &mut Coverage::default()).passed());
        }
    }
    assert!(read_count > COUNT / 3 && passed_count > COUNT / 3 && passed_count < read_count, "{read_count} {passed_count}");
}
