//! Feature `serde`: what is written can be read, and looks as one would write it by hand.

use clustered_attention::{Element, Grid, Layout, Limits, Method, Plan, PlanFigures, Precision, Problem, Shape, Stage};

#[test]
fn methods_shapes_and_figures_survive_json() {
    let methods =
        [Method::Exact, Method::stitched(25), Method::sliding_window(3, 0), Method::auto(7).with_window(None)];
    for method in methods {
        let text = serde_json::to_string(&method).expect("text");
        assert!(text.contains(&format!("\"method\":\"{}\"", method.name())), "{text}");
        assert_eq!(serde_json::from_str::<Method>(&text).expect("a method"), method);
    }
    // A number is a band, as it was before there were images; what an image leaves out has its default.
    let mut stitched = serde_json::to_value(Method::stitched(25)).expect("a value");
    assert_eq!(stitched["window"], 16);
    stitched["window"] = serde_json::json!({ "rows": 4, "columns": 5 });
    let image = Method::stitched(25).with_grid(Grid::new(4, 5));
    assert_eq!(serde_json::from_value::<Method>(stitched).expect("a method"), image);
    let image = image.with_grid(Grid::new(4, 5).with_leading(1).with_radii(3, 0));
    let text = serde_json::to_string(&image).expect("text");
    assert_eq!(serde_json::from_str::<Method>(&text).expect("a method"), image);
    let shape = Shape::self_attention(1, 2, 300, 16);
    assert_eq!(serde_json::from_str::<Shape>(&serde_json::to_string(&shape).expect("text")).expect("a shape"), shape);
    assert_eq!(serde_json::to_string(&Layout::LengthFirst).expect("text"), "\"length_first\"");
    assert_eq!(serde_json::from_str::<Element>("\"f16\"").expect("an element"), Element::F16);
    assert_eq!(serde_json::to_string(&Element::F32).expect("text"), "\"f32\"");
    for precision in Precision::ALL {
        assert_eq!(serde_json::to_string(&precision).expect("text"), format!("\"{precision}\""));
    }
    assert_eq!(serde_json::to_string(&Stage::HashCodes).expect("text"), "\"hash_codes\"");
    let problem = Problem::new(shape, Method::stitched(5)).expect("a problem");
    let plan = Plan::new(&problem, &Limits::host()).expect("a plan");
    let figures = plan.figures();
    assert_eq!((figures.chunks, figures.costs.len()), (1, plan.costs().len()));
    let read: PlanFigures = serde_json::from_str(&serde_json::to_string(&figures).expect("text")).expect("figures");
    assert_eq!(read, figures);
    assert_eq!("top_k".parse(), Ok(Stage::TopK));
    assert!("topk".parse::<Stage>().expect_err("no stage").to_string().contains("top_k, remainder"));
}
