//! Tensors and products in half precision.

use super::{error, fail, json, succeed};

const SMALL: [&str; 10] =
    ["--length", "400", "--heads", "2", "--width", "13", "--clusters", "9", "--method", "exact,stitched"];

#[test]
fn halves_are_named_and_their_rounding_is_in_the_error() {
    let floats = json("floats.json", &SMALL);
    let halves = json("halves.json", &[&SMALL[..], &["--element", "f16"]].concat());
    assert_eq!((&floats["element"], &halves["element"]), (&"f32".into(), &"f16".into()));
    // Of inputs and output; float32 alone is worth a millionth.
    let (plain, rounded) = (error(&floats, "exact"), error(&halves, "exact"));
    assert!(plain < 1e-5 && (1e-4..1e-3).contains(&rounded), "{plain:e} {rounded:e}");
    let (plain, rounded) = (error(&floats, "stitched"), error(&halves, "stitched"));
    assert!((rounded / plain - 1.0).abs() < 0.2, "{plain:e} {rounded:e}");
    let printed = succeed(&[&["--backend", "cpu", "--repeat", "1", "--element", "f16"], &SMALL[..]].concat());
    for text in ["tensors in f16", "Tensors are in f16"] {
        assert!(printed.contains(text), "{printed}");
    }
    let found = ["--length", "400", "--heads", "1", "--width", "8", "--error", "0.5", "--element", "f16"];
    assert_eq!(json("halves_found.json", &found)["element"], "f16");
}

#[test]
fn other_elements_are_refused() {
    let errors = fail(&["--backend", "cpu", "--element", "bf16"], 2);
    assert!(errors.contains("one of f32, f16"), "{errors}");
}

#[test]
fn products_of_halves_are_asked_for_by_name_and_refused_where_nothing_computes_them() {
    let errors = fail(&["--backend", "cpu", "--precision", "f16"], 2);
    assert!(errors.contains("one of float32, float16-products, float16-pairs"), "{errors}");
    let errors = fail(&["--backend", "cpu", "--precision", "float16-pairs"], 1);
    assert!(errors.contains("no float16-pairs: matrix units cannot be used: the CPU has none"), "{errors}");
    assert_eq!(json("precise.json", &[&SMALL[..], &["--precision", "float32"]].concat())["precision"], "float32");
}
