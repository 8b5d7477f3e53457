//! Which slips are found in a snippet, and how it looks with all of them in it.

use expect_test::{Expect, expect};

use super::*;
use crate::slips::rewrite;

/// The slips of a snippet, one a line, and the rewritten snippet; it must be code again.
fn check(source: &str, expected: Expect) {
    let found = find(source).expect("the snippet is code");
    let slips: Vec<(u32, &Slip)> = found.slips.iter().enumerate().map(|(index, slip)| (index as u32, slip)).collect();
    let text = rewrite(source, &slips).text;
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut told: String = slips.iter().map(|(number, slip)| format!("{number} {}\n", slip.says)).collect();
    told.push_str(&text.replace("::mutant_switch::is", "is"));
    expected.assert_eq(&told);
}

#[test]
fn conditions() {
    check(
        "fn f(a: u8) { if a < 3 && !b(a) { g(); h() } }\n",
        expect![[r#"
        0 `f` does nothing
        1 the condition behind or before `&&` is left out
        2 the condition behind or before `&&` is left out
        3 `&&` becomes `||`
        4 `<` becomes `<=`
        5 `<` becomes `>=`
        6 `3` becomes `4`
        7 `3` becomes `2`
        8 `!` is left out
        9 the call is left out
        fn f(a: u8) { if is(0) { return (); } if (if is(3) { a < 3 || !b(a) } else { (is(1) || ((if is(4) { a <= 3 } else { (is(5) != (a < (if is(6) { 4 } else { (if is(7) { 2 } else { 3 }) }))) }))) && (is(2) || ((is(8) != (!b(a))))) }) { if !is(9) { g(); } h() } }
    "#]],
    );
    check(
        "fn f() { while let Some(x) = next() && x.is_open() { i += 1; } }\n",
        expect![[r#"
        0 `f` does nothing
        1 the condition is negated
        2 the condition behind or before `&&` is left out
        3 `+=` becomes `-=`
        4 `1` becomes `2`
        5 `1` becomes `0`
        fn f() { if is(0) { return (); } while let Some(x) = next() && (is(1) != ((is(2) || (x.is_open())))) { (if is(3) { i -= 1 } else { i += (if is(4) { 2 } else { (if is(5) { 0 } else { 1 }) }) }); } }
    "#]],
    );
    check(
        "fn f(x: X) -> X { match x { X(1) if ready(&x) || false => X(y), other => other } }\n",
        expect![[r#"
        0 the condition is negated
        1 the condition behind or before `||` is left out
        2 `||` becomes `&&`
        3 `false` becomes `true`
        fn f(x: X) -> X { match x { X(1) if (if is(2) { ready(&x) && false } else { (is(0) != ((!is(1) && (ready(&x))))) || (is(3) != (false)) }) => X(y), other => other } }
    "#]],
    );
}

#[test]
fn calls_and_returns() {
    check(
        "fn f(a: A) -> Option<u8> { if a.done { return None; } check(&a)?; a.count = b; Some(a.x.min(b)) }\n",
        expect![[r#"
        0 `f` returns `None` at once
        1 the condition is negated
        2 the `return` is left out
        3 the call is left out
        4 the assignment is left out
        5 `min` becomes `max`
        fn f(a: A) -> Option<u8> { if is(0) { return None; } if (is(1) != (a.done)) { if !is(2) { return None; } } if !is(3) { check(&a)?; } if !is(4) { a.count = b; } Some((if is(5) { a.x.max(b) } else { a.x.min(b) })) }
    "#]],
    );
    check(
        "fn f() -> Result<bool, E> { for i in from..to.len() { move_it(from, &to.end); continue; } Ok(i == 0) }\n",
        expect![[r#"
        0 `f` returns `Ok(true)` at once
        1 `f` returns `Ok(false)` at once
        2 `..` becomes `..=`
        3 the call is left out
        4 `from, &to.end` becomes `&to.end, from`
        5 the `continue` is left out
        6 `==` becomes `!=`
        7 `0` becomes `1`
        fn f() -> Result<bool, E> { if is(0) { return Ok(true); } if is(1) { return Ok(false); } for i in from..(if is(2) { (to.len()) + 1 } else { to.len() }) { if !is(3) { (if is(4) { move_it(&to.end, from) } else { move_it(from, &to.end) }); } if !is(5) { continue; } } Ok((is(6) != (i == (if is(7) { 1 } else { 0 })))) }
    "#]],
    );
}

#[test]
fn macros_that_are_understood() {
    check(
        "fn f() { let x = vec![1, n]; info!(x = 1, \"y {}\", 2); let y = matches!(x, A(1) | B if x.len() > k); }\n",
        expect![[r#"
        0 `f` does nothing
        1 `1` becomes `2`
        2 `1` becomes `0`
        3 `>` becomes `>=`
        4 `>` becomes `<=`
        fn f() { if is(0) { return (); } let x = vec![(if is(1) { 2 } else { (if is(2) { 0 } else { 1 }) }), n]; info!(x = 1, "y {}", 2); let y = matches!(x, A(1) | B if (if is(3) { x.len() >= k } else { (is(4) != (x.len() > k)) })); }
    "#]],
    );
}

#[test]
fn what_is_no_running_code_is_left_alone() {
    check(
        "#[doc = \"1\"] const A: u8 = 1; static B: [u8; 3] = [1; 3]; struct S { x: [u8; 4] } enum E { X = 1 }\nconst fn f() -> bool { 1 < 2 }\n#[cfg(test)] mod tests { fn f() { g(1 < 2); } }\n#[cfg(feature = \"x\")] fn g() { h(1); }\nimpl Display for S { fn fmt(&self) -> Result<(), E> { f.pad(1) } }\n",
        expect![[r##"
            #[doc = "1"] const A: u8 = 1; static B: [u8; 3] = [1; 3]; struct S { x: [u8; 4] } enum E { X = 1 }
            const fn f() -> bool { 1 < 2 }
            #[cfg(test)] mod tests { fn f() { g(1 < 2); } }
            #[cfg(feature = "x")] fn g() { h(1); }
            impl Display for S { fn fmt(&self) -> Result<(), E> { f.pad(1) } }
        "##]],
    );
}

#[test]
fn what_is_left_out_is_counted() {
    let found = find("const A: u8 = 1;\nfn f() { g!(1); format!(\"\") }\nmod other;\nmod inline { mod deep; }\n").expect("code");
    assert_eq!(found.left_out, BTreeMap::from([("constants", 16), ("macros", 5), ("texts, logs and assertions", 11)]));
    assert_eq!(found.modules, [("other".to_owned(), vec![]), ("deep".to_owned(), vec!["inline".to_owned()])]);
    let native = "// no unsafe here\nmod a;\nfn f() { unsafe { g(1 < 2) } }";
    let found = find(native).expect("code");
    assert!(found.slips.is_empty());
    assert_eq!((found.left_out["unsafe code"], found.modules.len()), (native.len(), 1));
}
