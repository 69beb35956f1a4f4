//! Every check of a lab of the host engine can fail, heals, and leaves a lab beside it alone.

use std::collections::BTreeSet;

use lab_tests::host_lab::{command_line, prove};

#[test]
fn every_present_arrow_can_be_broken_and_healed() {
    let Some(lab) = command_line("every_present_arrow_can_be_broken_and_healed") else {
        return;
    };
    lab.run(&["bootstrap", "--engine", "host"]).with_code(0);
    lab.run(&["bootstrap", "--engine", "host", "--name", "second"])
        .with_code(0);
    let second = || lab.run(&["verify", "--name", "second"]).with_code(0);
    let before = prove(&lab);

    let report = lab
        .run(&["verify", "--falsify", "--json"])
        .with_code(0)
        .json();
    let arrows = report["arrows"].as_array().unwrap();
    let falsified: BTreeSet<_> = arrows
        .iter()
        .filter(|arrow| arrow["falsified"] == true)
        .map(|arrow| arrow["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(falsified, before, "{report}");

    // Nothing stays broken, and the other lab has not noticed.
    assert_eq!(prove(&lab), before);
    second();
    lab.run(&["down", "--purge"]).with_code(0);
    second();
}
