//! Parameters and running statistics carry torchvision's names, extents and order, so that its weights fit as they are
//! (fixture by `tools/pytorch/torchvision_names.py`).

use frugal_model::{Net, StepShape, inference_step};
use frugal_tensor::ir::Role;

#[test]
fn nets_keep_what_torchvisions_keep() {
    let table = include_str!("fixtures/torchvision.txt");
    let nets: Vec<(&str, Vec<&str>)> = table
        .split("net ")
        .skip(1)
        .map(|section| {
            let mut lines = section.lines();
            (lines.next().unwrap(), lines.collect())
        })
        .collect();
    assert_eq!(nets.len(), 8);
    for (name, wanted) in nets {
        let shape = StepShape { batch: 1, sample: [3, 224, 224].into(), classes: 1000 };
        let graph = inference_step(&Net::find(name).unwrap(), shape).unwrap();
        let kept = graph.values().iter().filter(|value| matches!(value.role, Role::Parameter | Role::Statistic));
        let found: Vec<String> = kept
            .map(|value| {
                let extents: Vec<String> = value.shape.extents().iter().map(usize::to_string).collect();
                format!("{} {}", value.name, extents.join("x"))
            })
            .collect();
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found, wanted, "{name}");
        }
        assert_eq!(found.len(), wanted.len(), "{name}");
    }
}
