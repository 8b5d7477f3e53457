//! What a saga is found by.

use expect_test::expect;

use super::{DONE, TRIP, World};

/// What a saga is found by is expected like what it does.
#[test]
fn what_a_saga_is_found_by_is_looked_at() {
    let world = World::of(&TRIP.replace(
        "steps:\n  - { step: long_stay",
        "search: { nights: start.nights, voucher: start.?voucher }\nsteps:\n  - { step: long_stay",
    ));
    world.passes(&format!("{DONE}search: {{ nights: 2 }}\nends: completed"));
    world.fails(
        &format!("{DONE}search: {{ nights: 3, voucher: v }}\nends: completed"),
        &expect![[r#"
        5: it must be found by nights=3: it is 2
        5: it must be found by voucher=v: it has no voucher
                 +0s  hotel.Reserve {"nights":2,"price":"99.1","trip_id":"t-1"}
                 +0s  emit RoomReserved {"room":"12"}
                 +0s  hotel.Confirm {"trip_id":"t-1"}
                 +0s  mail.Thank {"trip_id":"t-1"}
                 +0s  emit TripConfirmed {"trip_id":"t-1"}
                      ends: completed
    "#]],
    );
    world.wrong(
        &format!("{DONE}search: {{ night: 3, nights: [ 2 ] }}\nends: completed"),
        &expect![[r#"
        trip.yaml:5:11: error: trip is not searched by 'night'
         5 | search: { night: 3, nights: [ 2 ] }
           |           ^^^^^ did you mean 'nights'?
        trip.yaml:5:29: error: a value is a text, not a list
         5 | search: { night: 3, nights: [ 2 ] }
           |                             ^^^^^
    "#]],
    );
    world.wrong(
        &format!("{DONE}search: nights\nends: completed"),
        &expect![[r#"
        trip.yaml:5:9: error: search is a map, not a single value
         5 | search: nights
           |         ^^^^^^ search: { customer: c-7 }
    "#]],
    );
}
